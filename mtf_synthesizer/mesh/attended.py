"""softmax(S) V and its gradients in few passes over S."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


def attended(
    logits: mtf.Tensor, values: mtf.Tensor, shape: mtf.Shape
) -> tuple[mtf.Tensor, mtf.Tensor]:
    """Compute softmax(S) V.

    Args:
      logits: S, float32; the softmax is over the last dimension.
      values: V, with the last dimension of the logits.
      shape: dimensions of the outputs: the dimensions of both, without the logits' last.

    Returns:
      The weights softmax(S), and the outputs.
    """
    weights = softmax(logits)
    outputs = mtf.einsum([mtf.cast(weights, values.dtype), values], shape)
    return weights, _Attended(logits, values, weights, outputs).outputs[0]


def softmax(logits: mtf.Tensor) -> mtf.Tensor:
    """Compute the softmax over the last dimension, without a gradient of its own."""
    return _Softmax(logits).outputs[0]


class _Attended(mtf.Operation):
    """Outputs Y = P V of P = softmax(S), whose gradient to S takes two passes over the weights.

    dS = P (dP - sum_j P dP) with dP = dY V^T. The sum equals that of dY Y over d_kv, which is much
    smaller than P.
    """

    def __init__(
        self, logits: mtf.Tensor, values: mtf.Tensor, weights: mtf.Tensor, outputs: mtf.Tensor
    ):
        super().__init__([logits, values, weights, outputs], name="attended")
        self._outputs = [mtf.Tensor(self, outputs.shape, outputs.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        (grad,) = grad_ys
        _, values, weights, outputs = self.inputs
        to_weights = mtf.cast(mtf.einsum([grad, values], weights.shape), tf.float32)
        rows = mtf.Shape(weights.shape.dims[:-1])
        if outputs.dtype == tf.float32:
            total = mtf.einsum([grad, outputs], rows)
        else:  # rounded outputs would shift whole rows of dS, which the gradient of α sums up
            total = mtf.reduce_sum(weights * to_weights, output_shape=rows)
        to_values = mtf.einsum([mtf.cast(weights, values.dtype), grad], values.shape)
        return [weights * (to_weights - total), to_values, None, None]

    def lower(self, lowering: mtf.Lowering) -> None:
        lowering.set_tensor_lowering(self.outputs[0], lowering.tensors[self.inputs[-1]])


class _Softmax(mtf.Operation):
    """softmax over the last dimension; TensorFlow's own if one device has the whole dimension."""

    def __init__(self, x: mtf.Tensor):
        super().__init__([x], name="softmax")
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        x = lowering.tensors[self.inputs[0]]
        axis = mesh_impl.tensor_dimension_to_mesh_axis(self.inputs[0].shape.dims[-1])
        softmax = self._on_one_device if axis is None else self._on_several
        lowering.set_tensor_lowering(self.outputs[0], softmax(mesh_impl, x, axis))

    def _on_one_device(self, mesh_impl: Any, x: Any, axis: None) -> Any:
        return mesh_impl.slicewise(tf.nn.softmax, x)

    def _on_several(self, mesh_impl: Any, x: Any, axis: int) -> Any:
        def reduced(function: Callable[..., tf.Tensor], y: Any, kind: str) -> Any:
            local = mesh_impl.slicewise(lambda z: function(z, axis=-1, keepdims=True), y)
            return mesh_impl.allreduce(local, [axis], kind)

        highest = reduced(tf.reduce_max, x, "MAX")
        x = mesh_impl.slicewise(lambda y, z: tf.exp(y - z), x, highest)
        return mesh_impl.slicewise(tf.divide, x, reduced(tf.reduce_sum, x, "SUM"))
