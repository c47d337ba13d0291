"""softmax(S) V, in two ways that give the same.

`general_path`: logits that differ between examples. `global_path`: logits that do not; no
attention matrix exists for an example, all examples share one matrix product per head.
"""

from __future__ import annotations

from collections.abc import Callable

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.attention import masks
from mtf_synthesizer.attention.interface import View
from mtf_synthesizer.mesh.attended import attended
from mtf_synthesizer.mesh.late_sums import cast, exp

# A row whose visible keys have less than this in all fades out instead of dividing by nothing.
# exp(-80) = 1.8e-35 is above it; its inverse times a gradient of up to 300 is still finite.
_LEAST_SUM = 1e-36

# The weights, made when asked for: recordings want them, training does not.
Weights = Callable[[], mtf.Tensor]


def general_path(
    logits: mtf.Tensor,
    values: mtf.Tensor,
    present: mtf.Tensor | None,
    view: View,
    extra_logit: float | None,
) -> tuple[Weights, mtf.Tensor]:
    """The general path: softmax(S[b, h, i, j]) V.

    Args:
      logits: float32 [batch, heads, length, memory_length] in some order, masked but for padding.
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
    if extra_logit is None:
        weights, outputs = attended(logits, values, _output_shape(view))
        return (lambda: weights), outputs
    weights = mtf.softmax(logits, view.memory_length, extra_logit=extra_logit)
    return (lambda: weights), mtf.einsum(
        [mtf.cast(weights, values.dtype), values], _output_shape(view)
    )


def global_path(
    logits: mtf.Tensor, values: mtf.Tensor, present: mtf.Tensor | None, view: View
) -> tuple[Weights, mtf.Tensor]:
    """The global path, for logits S[h, i, j] that are the same for all examples.

    With E = exp(S - max_j S) and present keys u_j in {0, 1} this is
    Y_i = sum_j E_ij u_j v_j / sum_j E_ij u_j: two matrix products per head, [length, memory_length]
    by [memory_length, batch * d_kv] and by [memory_length, batch], instead of a softmax per
    example. It equals `general_path` to 1e-5 while max_j S lies at most 80 above the best visible
    logit; beyond, the attention of that row fades to 0. Rows without any key return 0.

    Args:
      logits: float32 [heads, length, memory_length] in some order, causal masks included.
      values: [batch, memory_heads, memory_length, d_kv] in some order.
      present: bool [batch, memory_length], False for padding, or None.
      view: the layer's view.

    Returns:
      The weights without regard to padding, and the outputs [batch, length, heads, d_kv].
    """

    def weights() -> mtf.Tensor:
        return mtf.softmax(logits, view.memory_length)

    shape = _output_shape(view)
    memory = view.memory_length
    if present is None:
        return weights, mtf.einsum([mtf.cast(weights(), values.dtype), values], shape)
    scores = exp(logits - mtf.stop_gradient(mtf.reduce_max(logits, reduced_dim=memory)))
    # All examples side by side as the columns of one matrix per head: written out, because an
    # einsum would transpose again in each of the two products of the backward pass.
    batch = view.context.batch_dims
    queries = [d for d in shape.dims if d not in batch and d not in view.heads and d != view.kv]
    columns = mtf.Shape([*view.heads, *queries, *batch])
    own_heads = [d for d in view.heads if d in values.shape.dims]
    kept = mtf.transpose(values, mtf.Shape([*own_heads, memory, *batch, view.kv]))
    kept = _Kept(kept, present).outputs[0]
    total = _Mix([cast(scores, values.dtype), kept], columns + view.kv).outputs[0]
    norm = mtf.einsum([scores, mtf.cast(present, tf.float32)], columns)
    some = mtf.cast(mtf.reduce_any(present, reduced_dim=memory), tf.float32)
    norm = mtf.maximum(norm, _LEAST_SUM) + (1.0 - some)
    outputs = _Quotient(mtf.cast(total, tf.float32), norm).outputs[0]
    return weights, mtf.transpose(mtf.cast(outputs, values.dtype), shape)


class _Kept(mtf.Operation):
    """x where present, else 0, in both directions.

    A product with 0 and 1 would not do: gradients of keys that no query may see can overflow.
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


class _Quotient(mtf.Operation):
    """total[..., d_kv] / norm[...], whose gradient never forms norm squared.

    The square of a norm of 1e-20 is 0 in float32, and a gradient through a reciprocal infinite.
    """

    def __init__(self, total: mtf.Tensor, norm: mtf.Tensor):
        super().__init__([total, norm], name="quotient")
        self._outputs = [mtf.Tensor(self, total.shape, total.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor]:
        norm = self.inputs[1]
        scaled = _Quotient(grad_ys[0], norm).outputs[0]
        return [scaled, -mtf.einsum([scaled, self.outputs[0]], norm.shape)]

    def lower(self, lowering: mtf.Lowering) -> None:
        total, norm = (lowering.tensors[t] for t in self.inputs)

        def divide(x: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
            return x / tf.expand_dims(by, -1)

        y = lowering.mesh_impl(self).slicewise(divide, total, norm)
        lowering.set_tensor_lowering(self.outputs[0], y)


class _Mix(mtf.ops.EinsumOperation):
    """An einsum whose gradient to its second operand needs no transposition.

    TensorFlow's einsum leaves the free dimensions in the order of its operands; Mesh's gradient
    has them the wrong way round here and pays with a pass over the result.
    """

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor]:
        scores, kept = self.inputs
        (grad,) = grad_ys
        return [
            mtf.einsum([grad, kept], scores.shape),
            mtf.einsum([scores, grad], kept.shape),
        ]


def _output_shape(view: View) -> mtf.Shape:
    length = [] if view.decoding else [view.length]
    return mtf.Shape([*view.context.batch_dims, *length, *view.heads, view.kv])
