"""Masks: which keys a query may attend to.

Masks come in three kinds, because the layer's cost depends on them. Masks of positions alone
(causal) have no batch dimension. Masks of the example cover packed rows, prefix-LM and
sub-sequences. Padding is the only mask of the example that rows with one sequence each need.
"""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer
from mesh_tensorflow.transformer.attention import visibility_mask_to_attention_bias

from mtf_synthesizer.attention.interface import cached


def sequences(context: transformer.Context) -> mtf.Tensor | None:
    """Return the ids of the sequences that may be packed in each row, or None.

    Returns:
      An int32 tensor [batch, length], 0 for padding. None if every row provably holds at most one
      sequence: while decoding, without ids, or with ids that are only a padding mask.
    """
    ids = _ids(context)
    return None if ids is None or is_padding_mask(ids) else ids


def padding(context: transformer.Context, memory_length: mtf.Dimension) -> mtf.Tensor | None:
    """Return which keys are real tokens, for rows that hold one sequence.

    Returns:
      A bool tensor [batch, memory_length], or None if no padding is known.
    """
    ids = _ids(context)
    if ids is None or not is_padding_mask(ids):
        return None

    def present() -> mtf.Tensor:
        return mtf.replace_dimensions(mtf.not_equal(ids, 0), context.length_dim, memory_length)

    return cached(context, ("present", ids, memory_length), present)


def of_pairs(context: transformer.Context) -> mtf.Tensor | None:
    """Return the decoder's ids of sequences if rows of decoder and encoder may be packed, or None.

    Returns:
      An int32 tensor [batch, length], 0 for padding.
    """
    ids = context.sequence_id
    if not isinstance(ids, mtf.Tensor) or context.length_dim not in ids.shape.dims:
        return None
    encoder_ids = context.encoder_sequence_id
    if encoder_ids is None or (is_padding_mask(ids) and is_padding_mask(encoder_ids)):
        return None
    return ids


def own_ids(context: transformer.Context) -> mtf.Tensor | None:
    """Return the ids of the innermost sequences of the stack's own tokens."""
    return _ids(context)


def encoder_padding(context: transformer.Context) -> mtf.Tensor | None:
    """Return which tokens of the encoder's output are real, if rows hold one sequence.

    Returns:
      A bool tensor [batch, memory_length], or None if no padding is known.
    """
    ids = context.encoder_sequence_id
    if ids is None or of_pairs(context) is not None:
        return None
    return cached(context, ("present", ids), lambda: mtf.not_equal(ids, 0))


def encoder_biases(context: transformer.Context) -> list[mtf.Tensor]:
    """Return a bias [batch, length, memory_length] that separates packed pairs of sequences."""
    ids, encoder_ids = of_pairs(context), context.encoder_sequence_id
    if ids is None:
        return []
    visible = cached(context, ("same", ids, encoder_ids), lambda: mtf.equal(ids, encoder_ids))
    return _as_biases(context, visible)


def is_padding_mask(ids: mtf.Tensor) -> bool:
    """Return whether the graph proves that ids only tell tokens from padding.

    Mesh's `Bitransformer` computes the ids of unpacked rows as min(tokens, 1). Ids of packed rows
    are imported. The operation is the only proof: `position_is_default` is also True for packed
    rows, in every model without positional embeddings.
    """
    operation = ids.operation
    while isinstance(operation, mtf.ops.ReshapeOperation):  # renames length for the decoder
        operation = operation.inputs[0].operation
    if not isinstance(operation, mtf.ops.MinMaxOperation):
        return False
    limits = [t for t in operation.inputs if t.shape.ndims == 0]
    return operation._tf_fn is mtf.ops.tf.minimum and any(_constant(t) == 1 for t in limits)


def causal(context: transformer.Context, memory_length: mtf.Dimension) -> mtf.Tensor | None:
    """Return which keys are not in the future, or are in the prefix of a prefix-LM.

    Returns:
      A bool tensor [(batch,) length, memory_length], or None if all keys are visible.
    """
    if context.read_priority is None:
        return None

    def visible() -> mtf.Tensor:
        write = mtf.replace_dimensions(context.write_priority, context.length_dim, memory_length)
        return mtf.greater_equal(context.read_priority, write)

    return cached(context, ("causal", context.read_priority, memory_length), visible)


def same_sequence(context: transformer.Context, memory_length: mtf.Dimension) -> mtf.Tensor | None:
    """Return which keys belong to the query's own sequence.

    Returns:
      A bool tensor [batch, length, memory_length], or None if each row holds one sequence.
    """
    ids = sequences(context)
    if ids is None:
        return None

    def same() -> mtf.Tensor:
        return mtf.equal(ids, mtf.replace_dimensions(ids, context.length_dim, memory_length))

    return cached(context, ("same", ids, memory_length), same)


def position_biases(context: transformer.Context, memory_length: mtf.Dimension) -> list[mtf.Tensor]:
    """Return the causal (or prefix-LM) mask, [(batch,) length, memory_length], as a bias."""
    return _as_biases(context, causal(context, memory_length))


def sequence_biases(context: transformer.Context, memory_length: mtf.Dimension) -> list[mtf.Tensor]:
    """Return a bias [batch, length, memory_length] that separates packed sequences."""
    return _as_biases(context, same_sequence(context, memory_length))


def _as_biases(context: transformer.Context, visible: mtf.Tensor | None) -> list[mtf.Tensor]:
    if visible is None:
        return []
    return [cached(context, ("bias", visible), lambda: as_bias(visible))]


def _ids(context: transformer.Context) -> mtf.Tensor | None:
    # Sub-sequences lie within sequences: each of several targets of one input sees only itself.
    for ids in (context.subsequence_id, context.sequence_id):
        if isinstance(ids, mtf.Tensor):
            return ids if context.length_dim in ids.shape.dims else None
    return None


def _constant(x: mtf.Tensor) -> int | None:
    operation = x.operation
    if isinstance(operation, mtf.ops.ImportOperation):
        value = tf.get_static_value(operation._tf_tensor)
        return None if value is None else int(value)
    return None


def as_bias(visible: mtf.Tensor) -> mtf.Tensor:
    """Return 0 where visible and a large negative number elsewhere, float32."""
    return visibility_mask_to_attention_bias(visible, tf.float32)
