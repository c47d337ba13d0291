"""softmax(S) V, computed in two ways with equal results.

`general_path` takes logits that differ between examples. `global_path` takes logits shared by all
examples: no attention matrix per example exists, and all examples share one product per head.
"""

from __future__ import annotations

from collections.abc import Callable

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.attention import faint_rows, masks
from mtf_synthesizer.attention.faint_rows import where_faint
from mtf_synthesizer.attention.interface import View
from mtf_synthesizer.mesh.attended import attended, softmax
from mtf_synthesizer.mesh.late_sums import cast, product

# Divisor of a padding row whose real keys sum to 0: its inverse times a gradient of up to 300 is
# still finite.
_LEAST_SUM = 1e-36

# The weights, computed on demand: recordings need them, training does not.
Weights = Callable[[], mtf.Tensor]


def general_path(
    logits: mtf.Tensor,
    values: mtf.Tensor,
    present: mtf.Tensor | None,
    view: View,
    extra_logit: float | None,
) -> tuple[Weights, mtf.Tensor]:
    """Compute softmax(S[b, h, i, j]) V.

    Args:
      logits: float32 [batch, heads, length, memory_length] in some order, masked except padding.
      values: [batch, memory_heads, memory_length, d_kv] in some order.
      present: bool [batch, memory_length], False for padding, or None.
      view: the layer's view.
      extra_logit: a constant logit that attends to nothing, or None.

    Returns:
      The weights, and the outputs [batch, length, heads, d_kv].
    """
    if present is not None:
        logits = view.plus(logits, masks.as_bias(present))
    logits = view.in_order(logits)
    if extra_logit is not None:
        weights = _softmax(logits, view.memory_length, extra_logit)
    elif view.decoding:
        weights = softmax(logits)
    else:
        weights, outputs = attended(logits, values, _output_shape(view))
        return (lambda: weights), outputs
    outputs = view.multiply(mtf.cast(weights, values.dtype), values, _output_shape(view))
    return (lambda: weights), outputs


def global_path(
    logits: mtf.Tensor, values: mtf.Tensor, present: mtf.Tensor | None, view: View
) -> tuple[Weights, mtf.Tensor]:
    """Compute softmax(S[h, i, j]) V for logits that all examples share.

    With E = exp(S - max_j S) and present keys u_j in {0, 1} this is
    Y_i = sum_j E_ij u_j v_j / sum_j E_ij u_j: two matrix products per head, [length, memory_length]
    by [memory_length, batch * d_kv] and by [memory_length, batch], instead of a softmax per
    example. In every row of a token, values and gradients equal `general_path` up to rounding. If
    padded keys leave a token less than `faint_rows.FAINT` of E for its real keys, that step
    computes a softmax for each example, one after another. Rows of padding are finite. Rows
    without any key return 0.

    Args:
      logits: float32 [heads, length, memory_length] in some order, causal masks included.
      values: [batch, memory_heads, memory_length, d_kv] in some order.
      present: bool [batch, memory_length], False for padding, or None.
      view: the layer's view.

    Returns:
      The weights, which ignore padding, and the outputs [batch, length, heads, d_kv].
    """
    shape = _output_shape(view)

    def weights() -> mtf.Tensor:
        return _softmax(logits, view.memory_length)

    if present is None:
        return weights, view.multiply(mtf.cast(weights(), values.dtype), values, shape)
    # All examples form the columns of one matrix per head. The products are written out, because
    # an einsum would transpose again in both products of the backward pass.
    batch, length, memory = view.context.batch_dims, view.length, view.memory_length
    own_heads = [d for d in view.heads if d in values.shape.dims]
    kept = _in_order(values, [*own_heads, memory, *batch, view.kv])
    kept = _Kept(kept, present).outputs[0]
    tokens = view.tokens(present)
    present = _in_order(mtf.cast(present, tf.float32), [*batch, memory])
    # Softmaxes of examples sum over these two dimensions, so no layout may split their names.
    keys, width = mtf.Dimension("key", memory.size), mtf.Dimension("value", view.kv.size)
    outputs = _mixed(
        mtf.replace_dimensions(_in_order(logits, [*view.heads, length, memory]), memory, keys),
        mtf.reshape(kept, mtf.Shape([*own_heads, keys, *batch, width])),
        mtf.replace_dimensions(present, memory, keys),
        tokens,
        mtf.Shape([*view.heads, length, *batch]),
    )
    outputs = mtf.replace_dimensions(outputs, width, view.kv)
    return weights, mtf.transpose(mtf.cast(outputs, values.dtype), shape)


def _mixed(
    logits: mtf.Tensor,
    kept: mtf.Tensor,
    present: mtf.Tensor,
    tokens: mtf.Tensor,
    columns: mtf.Shape,
) -> mtf.Tensor:
    """Compute Y, float32 [*columns, value].

    Args:
      logits: [heads, length, key].
      kept: [memory_heads, key, batch, value], 0 at padding.
      present: float32 [batch, key], 0 for padding and 1 elsewhere.
      tokens: bool [batch, length].
      columns: [heads, length, batch].
    """
    keys, width = logits.shape.dims[-1], kept.shape.dims[-1]
    scores = mtf.exp(logits - mtf.reduce_max(logits, reduced_dim=keys))
    total = mtf.einsum([mtf.cast(scores, kept.dtype), kept], columns + width)
    norm = mtf.einsum([scores, present], columns)
    faint = mtf.logical_and(mtf.less(norm, faint_rows.FAINT), tokens, output_shape=columns)
    some = mtf.reduce_max(present, reduced_dim=keys)
    norm = mtf.maximum(norm, _LEAST_SUM) + (1.0 - some)
    outputs = mtf.cast(total, tf.float32) / norm
    exact = where_faint(outputs, faint, [logits, kept, present], faint_rows.outputs)
    return _Mixed(logits, kept, present, scores, norm, faint, exact).outputs[0]


class _Mixed(mtf.Operation):
    """Outputs Y, with their gradients to the logits S and to the values.

    Neither gradient forms norm squared: the square of a norm of 1e-20 is 0 in float32, so a
    gradient through a reciprocal is infinite.
    """

    def __init__(self, *inputs: mtf.Tensor):
        super().__init__(list(inputs), name="mixed")
        outputs = inputs[-1]
        self._outputs = [mtf.Tensor(self, outputs.shape, outputs.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        (grad,) = grad_ys
        logits, kept, present, scores, norm, faint, outputs = self.inputs
        scaled = grad / norm
        to_norm = -mtf.einsum([scaled, outputs], norm.shape)
        scaled = mtf.cast(scaled, kept.dtype)
        to_scores = cast(mtf.einsum([scaled, kept], scores.shape), tf.float32)
        to_scores += mtf.einsum([to_norm, present], scores.shape)
        to_kept = mtf.einsum([mtf.cast(scores, kept.dtype), scaled], kept.shape)
        to_logits = product(to_scores, scores, scores.shape)
        operands = [logits, kept, present, grad]
        return [
            where_faint(to_logits, faint, operands, faint_rows.to_logits),
            where_faint(to_kept, faint, operands, faint_rows.to_values),
            *[None] * 5,
        ]

    def lower(self, lowering: mtf.Lowering) -> None:
        lowering.set_tensor_lowering(self.outputs[0], lowering.tensors[self.inputs[-1]])


class _Kept(mtf.Operation):
    """x where present, else 0, forward and backward.

    A product with 0 and 1 would not do: gradients of keys that no query attends to can overflow.
    """

    def __init__(self, x: mtf.Tensor, present: mtf.Tensor):
        super().__init__([x, present], name="kept")
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        return [_Kept(grad_ys[0], self.inputs[1]).outputs[0], None]

    def lower(self, lowering: mtf.Lowering) -> None:
        x, present = self.inputs
        common = [d for d in x.shape.dims if d in present.shape.dims]
        order = [present.shape.dims.index(d) for d in common]
        missing = [axis for axis, d in enumerate(x.shape.dims) if d not in common]

        def select(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
            mask = tf.transpose(mask, order)
            for axis in missing:
                mask = tf.expand_dims(mask, axis)
            return tf.where_v2(mask, values, tf.zeros([], values.dtype))

        y = lowering.mesh_impl(self).slicewise(
            select, lowering.tensors[x], lowering.tensors[present]
        )
        lowering.set_tensor_lowering(self.outputs[0], y)


def _softmax(
    logits: mtf.Tensor, memory: mtf.Dimension, extra_logit: float | None = None
) -> mtf.Tensor:
    """Return Mesh's softmax of logits minus their maximum, which Mesh's rounding depends on."""
    highest = mtf.stop_gradient(mtf.reduce_max(logits, reduced_dim=memory))
    if extra_logit is None:
        return mtf.softmax(logits - highest, memory)
    highest = mtf.maximum(highest, extra_logit)
    return mtf.softmax(logits - highest, memory, extra_logit=extra_logit - highest)


def _in_order(x: mtf.Tensor, dims: list[mtf.Dimension]) -> mtf.Tensor:
    return x if x.shape.dims == dims else mtf.transpose(x, mtf.Shape(dims))


def _output_shape(view: View) -> mtf.Shape:
    length = [] if view.decoding else [view.length]
    return mtf.Shape([*view.context.batch_dims, *length, *view.heads, view.kv])
