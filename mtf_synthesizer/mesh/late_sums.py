"""Operations whose gradients delay their sum over devices.

If the batch is split, the gradient of a table is the sum of the gradients on each device. Mesh
delays such a sum while terms are only added. The terms of layers that share a tensor and of
successive microbatches are then added on the device first. The gradients of Mesh's `cast` and
products force the sum early, although neither needs it. The gradients below do not.
"""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


def cast(x: mtf.Tensor, dtype: tf.DType) -> mtf.Tensor:
    """Return `mtf.cast(x, dtype)`."""
    return x if x.dtype == dtype else _Cast(x, dtype).outputs[0]


def times(x: mtf.Tensor, factor: mtf.Tensor) -> mtf.Tensor:
    """Return `x * factor`."""
    if set(factor.shape.dims) - set(x.shape.dims):
        return x * factor
    return _Times([x, factor], x.shape).outputs[0]


def product(x: mtf.Tensor, factor: mtf.Tensor, shape: mtf.Shape) -> mtf.Tensor:
    """Return `mtf.einsum([x, factor], shape)` for gradients, without a gradient of its own.

    x may delay its sum over devices; the factor may not.
    """
    return _Product([x, factor], shape).outputs[0]


class _Cast(mtf.Operation):
    def __init__(self, x: mtf.Tensor, dtype: tf.DType):
        super().__init__([x], name="cast")
        self._outputs = [mtf.Tensor(self, x.shape, dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor]:
        return [cast(grad_ys[0], self.inputs[0].dtype)]

    def lower(self, lowering: mtf.Lowering) -> None:
        output = self.outputs[0]
        y = lowering.mesh_impl(self).slicewise_delay_allreduce(
            lambda x: tf.cast(x, output.dtype), lowering.tensors[self.inputs[0]]
        )
        lowering.set_tensor_lowering(output, y)


class _Times(mtf.EinsumOperation):
    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor]:
        x, factor = self.inputs
        return [product(grad_ys[0], factor, x.shape), product(grad_ys[0], x, factor.shape)]


class _Product(mtf.EinsumOperation):
    """x times a factor before x is summed: all devices of one sum have the same factor."""

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl, output = lowering.mesh_impl(self), self.outputs[0]
        x, factor = (lowering.tensors[operand] for operand in self.inputs)
        multiply, also_reduced = mtf.ops._einsum_helper(
            [operand.shape for operand in self.inputs], output.shape, mesh_impl
        )
        if also_reduced or not isinstance(x, mtf.ops.LazyAllreduceSum):
            super().lower(lowering)
            return
        y = mesh_impl.slicewise(multiply, x.laid_out_input, factor)
        y = mtf.ops.LazyAllreduceSum(mesh_impl, y, x.mesh_axes, x.add_counter_fn)
        lowering.set_tensor_lowering(output, y)
