"""Sums over tensors that write only the sums."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


def sum_of_squares(x: mtf.Tensor, output_shape: mtf.Shape) -> mtf.Tensor:
    """Return the sum of x² over all dimensions that are not in `output_shape`.

    `mtf.reduce_sum(mtf.square(x))` would write and read all squares. The result has no gradient.
    """
    return _SumOfSquares(x, output_shape).outputs[0]


def contracted(x: mtf.Tensor, y: mtf.Tensor, output_shape: mtf.Shape) -> mtf.Tensor:
    """Compute `mtf.einsum([x, y])` as a matrix product.

    If one operand has all dimensions, Mesh would multiply element by element and then sum.
    """
    return _Contracted([x, y], output_shape).outputs[0]


class _SumOfSquares(mtf.Operation):
    def __init__(self, x: mtf.Tensor, output_shape: mtf.Shape):
        super().__init__([x], name="sum_of_squares")
        self._outputs = [mtf.Tensor(self, output_shape, x.dtype)]

    @property
    def has_gradient(self) -> bool:
        return False

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        (x,), (output,) = self.inputs, self.outputs
        kept = [d for d in x.shape.dims if d in output.shape.dims]
        axes = [axis for axis, d in enumerate(x.shape.dims) if d not in kept]
        order = [kept.index(d) for d in output.shape.dims]
        layout = mesh_impl.tensor_layout(x)

        def squares(values: tf.Tensor) -> tf.Tensor:
            # TensorFlow's only reduction of squares computes the root of their sum.
            total = tf.square(tf.raw_ops.EuclideanNorm(input=values, axis=axes))
            return total if order == sorted(order) else tf.transpose(total, order)

        y = mesh_impl.slicewise(squares, lowering.tensors[x])
        split = [layout[axis] for axis in axes if layout[axis] is not None]
        lowering.set_tensor_lowering(output, _summed(self, lowering, y, split))


class _Contracted(mtf.EinsumOperation):
    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        shapes, output = [x.shape for x in self.inputs], self.outputs[0].shape
        equation = mtf.ops._einsum_equation(shapes, output)
        _, split = mtf.ops._einsum_helper(shapes, output, mesh_impl)
        y = mesh_impl.slicewise(
            lambda *operands: tf.einsum(equation, *operands),
            *[lowering.tensors[x] for x in self.inputs],
        )
        lowering.set_tensor_lowering(self.outputs[0], _summed(self, lowering, y, split))


def _summed(
    operation: mtf.Operation,
    lowering: mtf.Lowering,
    y: object,
    axes: list[int],
) -> object:
    """Sum y over mesh axes; the sum may be delayed until it is needed."""
    if not axes:
        return y
    size = lowering.mesh_impl(operation).laid_out_size(operation.outputs[0].shape)

    def count() -> None:
        lowering.add_counter(f"allreduce/{axes}/{type(operation).__name__}", size)

    return mtf.ops.LazyAllreduceSum(lowering.mesh_impl(operation), y, axes, add_counter_fn=count)
