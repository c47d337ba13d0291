"""Which keys a query may see.

Masks are kept in three kinds, because the layer's cost depends on it: those of positions alone
(causal: no batch dimension), those of the example (packed rows, prefix-LM, sub-sequences), and
padding, the only one of the example's that rows with one sequence each need.
"""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer
from mesh_tensorflow.transformer.attention import visibility_mask_to_attention_bias

from mtf_synthesizer.attention.interface import cached


def sequences(context: transformer.Context) -> mtf.Tensor | None:
    """Ids of the sequences that may be packed in each row, or None.

    Returns:
      An int32 tensor [batch, length], 0 for padding; None where every row is known to hold at
      most one sequence: while decoding, without ids, or with ids proved to be a padding mask.
    """
    ids = _ids(context)
    return None if ids is None or is_padding_mask(ids) else ids


def padding(context: transformer.Context, memory_length: mtf.Dimension) -> mtf.Tensor | None:
    """Which keys of rows that hold one sequence are no padding.

    Returns:
      A bool tensor [batch, memory_length], or None where nothing is known to be padding.
    """
    ids = _ids(context)
    if ids is None or not is_padding_mask(ids):
        return None

    def present() -> mtf.Tensor:
        return mtf.replace_dimensions(mtf.not_equal(ids, 0), context.length_dim, memory_length)

    return cached(context, ("present", ids, memory_length), present)


def is_padding_mask(ids: mtf.Tensor) -> bool:
    """Whether the graph proves that ids only tell tokens from padding.

    Mesh's `Bitransformer` makes the ids of rows that are not packed as min(tokens, 1); ids of
    packed rows are imported. Where they come from is the only proof: `position_is_default` is
    True for packed rows too, in every model without positional embeddings.
    """
    operation = ids.operation
    if not isinstance(operation, mtf.ops.MinMaxOperation):
        return False
    limits = [t for t in operation.inputs if t.shape.ndims == 0]
    return operation._tf_fn is mtf.ops.tf.minimum and any(_constant(t) == 1 for t in limits)


def causal(context: transformer.Context, memory_length: mtf.Dimension) -> mtf.Tensor | None:
    """Which keys are not in the future (or in the prefix of a prefix-LM).

    Returns:
      A bool tensor [(batch,) length, memory_length], or None where all are visible.
    """
    if context.read_priority is None:
        return None

    def visible() -> mtf.Tensor:
        write = mtf.replace_dimensions(context.write_priority, context.length_dim, memory_length)
        return mtf.greater_equal(context.read_priority, write)

    return cached(context, ("causal", context.read_priority, memory_length), visible)


def same_sequence(context: transformer.Context, memory_length: mtf.Dimension) -> mtf.Tensor | None:
    """Which keys are of the query's own sequence.

    Returns:
      A bool tensor [batch, length, memory_length], or None where rows hold one sequence each.
    """
    ids = sequences(context)
    if ids is None:
        return None

    def same() -> mtf.Tensor:
        return mtf.equal(ids, mtf.replace_dimensions(ids, context.length_dim, memory_length))

    return cached(context, ("same", ids, memory_length), same)


def position_biases(context: transformer.Context, memory_length: mtf.Dimension) -> list[mtf.Tensor]:
    """The causal (or prefix-LM) mask, [(batch,) length, memory_length], as a bias."""
    return _as_biases(context, causal(context, memory_length))


def sequence_biases(context: transformer.Context, memory_length: mtf.Dimension) -> list[mtf.Tensor]:
    """A bias [batch, length, memory_length] that keeps packed sequences apart."""
    return _as_biases(context, same_sequence(context, memory_length))


def _as_biases(context: transformer.Context, visible: mtf.Tensor | None) -> list[mtf.Tensor]:
    if visible is None:
        return []
    return [cached(context, ("bias", visible), lambda: as_bias(visible))]


def _ids(context: transformer.Context) -> mtf.Tensor | None:
    # Sub-sequences lie within sequences: several targets of one input, each sees only itself.
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
    """0 where visible, a large negative number elsewhere."""
    return visibility_mask_to_attention_bias(visible, tf.float32)
