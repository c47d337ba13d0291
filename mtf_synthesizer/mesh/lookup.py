"""A true gather for Mesh-TensorFlow, with a correct gradient on several devices.

`mtf.gather` multiplies by a one-hot matrix, so its cost grows with the size of the table.
`mtf.slicewise` around `tf.gather` is fast, but its gradient is not summed over the devices that
share the table. `take` gathers forward. Backward it computes a dense sum, all-reduced over every
mesh axis that splits the indices but not the table.
"""

from __future__ import annotations

from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


def take(x: mtf.Tensor, indices: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
    """Look up `x` along `dim`.

    Dimensions that `x` and `indices` share, such as the batch, are looked up side by side:
    `out[b, ..., j] = x[b, ..., indices[b, j]]`.

    Args:
      x: a tensor with dimension `dim`.
      indices: an int32 tensor with values in [0, dim.size).
      dim: the dimension of `x` to look up along; the layout must not split it.

    Returns:
      A tensor with the shared dimensions, then the other dimensions of `indices`, then of `x`.

    Raises:
      ValueError: `x` has no dimension `dim`, or (when lowered) the layout splits `dim`.
    """
    if dim not in x.shape.dims:
        raise ValueError(f"can't look up along {dim}: the table has the dimensions {x.shape}")
    return _Take(x, indices, dim).outputs[0]


def chosen(condition: mtf.Tensor, if_true: mtf.Tensor, if_false: mtf.Tensor) -> mtf.Tensor:
    """Return `mtf.where` with the dimensions of `if_false` in one pass, for decoding.

    It has no gradient: asking for one is an error.

    Args:
      condition: a bool tensor; its dimensions are dimensions of `if_false`.
      if_true: a tensor with dimensions of `if_false`.
      if_false: a tensor.
    """
    shape = if_false.shape
    inputs = [condition, if_true, if_false]

    def select(*slices: tf.Tensor) -> tf.Tensor:
        return tf.where_v2(
            *(
                mtf.ops._expand_dims(part, tensor.shape, shape)
                for part, tensor in zip(slices, inputs, strict=True)
            )
        )

    result: mtf.Tensor = mtf.slicewise(
        select, inputs, output_shape=shape, output_dtype=if_false.dtype, splittable_dims=shape.dims
    )
    return result


class _Take(mtf.Operation):
    def __init__(self, x: mtf.Tensor, indices: mtf.Tensor, dim: mtf.Dimension):
        super().__init__([x, indices], name="take")
        self.dim = dim
        self.shared = [d for d in indices.shape.dims if d in x.shape.dims]
        self.looked_up = [d for d in indices.shape.dims if d not in self.shared]
        self.rest = [d for d in x.shape.dims if d != dim and d not in self.shared]
        shape = mtf.Shape(self.shared + self.looked_up + self.rest)
        self._outputs = [mtf.Tensor(self, shape, x.dtype)]
        self._splittable_dims, self._unsplittable_dims = (
            self._initialize_splittable_and_unsplittable_dims("splittable", [dim.name])
        )

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        return [_TakeGradient(self, grad_ys[0]).outputs[0], None]

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        x, indices = self.inputs
        check_whole(mesh_impl, self.dim)
        table_order = _permutation(x.shape.dims, self.shared + [self.dim] + self.rest)
        index_order = _permutation(indices.shape.dims, self.shared + self.looked_up)
        batch_dims = len(self.shared)
        axis = x.shape.dims.index(self.dim)
        found = [*x.shape.dims[:axis], *indices.shape.dims, *x.shape.dims[axis + 1 :]]

        def gather(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
            # Transposing what is found is less than transposing the table.
            if not self.shared and indices.shape.size < self.dim.size:
                order = _permutation(found, self.outputs[0].shape.dims)
                return _transpose(tf.gather(table, index, axis=axis), order)
            return tf.gather(
                _transpose(table, table_order),
                _transpose(index, index_order),
                axis=batch_dims,
                batch_dims=batch_dims,
            )

        y = mesh_impl.slicewise(gather, lowering.tensors[x], lowering.tensors[indices])
        lowering.set_tensor_lowering(self.outputs[0], y)


class _TakeGradient(mtf.Operation):
    """Gradient of `take` to its table: a dense sum over all look-ups of a row."""

    def __init__(self, forward: _Take, grad: mtf.Tensor):
        x, indices = forward.inputs
        super().__init__([grad, indices], name="take_gradient")
        self._forward = forward
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]
        self._splittable_dims, self._unsplittable_dims = (
            self._initialize_splittable_and_unsplittable_dims("splittable", [forward.dim.name])
        )

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        forward = self._forward
        grad, indices = self.inputs
        x = self.outputs[0]
        in_order = forward.shared + forward.looked_up + forward.rest
        grad_order = _permutation(grad.shape.dims, in_order)
        index_order = _permutation(indices.shape.dims, forward.shared + forward.looked_up)
        table_order = _permutation(forward.shared + [forward.dim] + forward.rest, x.shape.dims)
        groups = len(forward.shared)
        size = forward.dim.size

        def scatter(dy: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
            dy = _transpose(dy, grad_order)
            index = _transpose(index, index_order)
            group_shape = index.shape.as_list()[:groups]
            rest_shape = dy.shape.as_list()[index.shape.ndims :]
            rows = mtf.Shape([mtf.Dimension(f"_{i}", n) for i, n in enumerate(group_shape)]).size
            offset = tf.reshape(tf.range(rows, dtype=index.dtype) * size, [rows, 1])
            segments = tf.reshape(tf.reshape(index, [rows, -1]) + offset, [-1])
            # Sums of many small terms lose digits in bfloat16, so they are computed in float32.
            summands = tf.cast(tf.reshape(dy, [segments.shape[0], *rest_shape]), tf.float32)
            total = tf.math.unsorted_segment_sum(summands, segments, rows * size)
            total = tf.cast(tf.reshape(total, [*group_shape, size, *rest_shape]), dy.dtype)
            return _transpose(total, table_order)

        dx = mesh_impl.slicewise(scatter, lowering.tensors[grad], lowering.tensors[indices])
        looked_up = mtf.Shape(forward.looked_up)
        lowering.set_tensor_lowering(x, sum_over_lookups(lowering, self, dx, looked_up))


def check_whole(mesh_impl: Any, dim: mtf.Dimension) -> None:
    """Raise a ValueError if the layout splits a dimension along which a table is looked up."""
    axis = mesh_impl.tensor_dimension_to_mesh_axis(dim)
    if axis is not None and mesh_impl.shape[axis].size > 1:
        raise ValueError(
            f"the layout splits {dim}, along which a table is looked up. Remove {dim.name} from "
            "the layout rules (utils.run.layout_rules)"
        )


def sum_over_lookups(
    lowering: mtf.Lowering, gradient: mtf.Operation, dx: Any, looked_up: mtf.Shape
) -> Any:
    """All-reduce the gradient of a table over the mesh axes that split the look-ups.

    Args:
      lowering: Mesh's lowering.
      gradient: the operation whose only output is the gradient of the table.
      dx: the gradient on each device.
      looked_up: dimensions of the look-ups that the table does not have.

    Returns:
      A laid-out tensor, whose sum may be delayed until it is needed.
    """
    mesh_impl = lowering.mesh_impl(gradient)
    axes = [a for a in mesh_impl.tensor_layout(looked_up).tensor_axis_to_mesh_axis if a is not None]
    if not axes:
        return dx
    size = mesh_impl.laid_out_size(gradient.outputs[0].shape)
    return mtf.ops.LazyAllreduceSum(
        mesh_impl,
        dx,
        axes,
        add_counter_fn=lambda: lowering.add_counter(f"allreduce/{axes}/take_gradient", size),
    )


def _permutation(source: list[mtf.Dimension], target: list[mtf.Dimension]) -> list[int]:
    return [source.index(d) for d in target]


def _transpose(x: tf.Tensor, order: list[int]) -> tf.Tensor:
    return x if order == sorted(order) else tf.transpose(x, order)
