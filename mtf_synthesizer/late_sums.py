"""Operations whose gradients wait for their sum over devices.

Where the batch is split, the gradient of a table is the sum of what each device adds to it. Mesh
delays such a sum while terms are only added, so that they are added up on the device first, over
the layers that share a tensor and over the parts of a batch that follow one another. The gradients
of its `cast` and `exp` do not wait, although neither needs the sum; those of these do.
"""

from __future__ import annotations

import mtf_synthesizer.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


def cast(x: mtf.Tensor, dtype: tf.DType) -> mtf.Tensor:
    """`mtf.cast`."""
    return x if x.dtype == dtype else _Cast(x, dtype).outputs[0]


def exp(x: mtf.Tensor) -> mtf.Tensor:
    """`mtf.exp`."""
    return _Exp(x).outputs[0]


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


class _Exp(mtf.Operation):
    def __init__(self, x: mtf.Tensor):
        super().__init__([x], name="exp")
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor]:
        return [_Scaled(grad_ys[0], self.outputs[0]).outputs[0]]

    def lower(self, lowering: mtf.Lowering) -> None:
        y = lowering.mesh_impl(self).slicewise(tf.exp, lowering.tensors[self.inputs[0]])
        lowering.set_tensor_lowering(self.outputs[0], y)


class _Scaled(mtf.Operation):
    """x times a factor, before x is added up: devices that add to one sum have the same factor."""

    def __init__(self, x: mtf.Tensor, factor: mtf.Tensor):
        super().__init__([x, factor], name="scaled")
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        x, factor = (lowering.tensors[each] for each in self.inputs)
        if isinstance(x, mtf.ops.LazyAllreduceSum):
            y = mesh_impl.slicewise(tf.multiply, x.laid_out_input, factor)
            y = mtf.ops.LazyAllreduceSum(mesh_impl, y, x.mesh_axes, x.add_counter_fn)
        else:
            y = mesh_impl.slicewise(tf.multiply, x, factor)
        lowering.set_tensor_lowering(self.outputs[0], y)
