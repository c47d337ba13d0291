"""Convolution along a sequence with kernels that the channels of a head share, for Mesh.

`convolve` never builds a matrix [length, length]. A kernel shared by all positions is TensorFlow's
depthwise convolution. A kernel per position becomes banded matrices, one for each block of
positions. Gradients are summed over every mesh axis that splits a summed dimension.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

_BLOCK = 32  # positions per banded matrix; 16 and 64 are slower on a CPU


class Window(NamedTuple):
    """Dimensions and place of a convolution's window.

    Attributes:
      length: the dimension to convolve along; the layout must not split it.
      heads: the dimensions of heads, or [].
      channels: the dimension of x whose members share a kernel.
      width: the kernel's own dimension; the layout must not split it.
      before: number of positions in the window before the output's own position.
    """

    length: mtf.Dimension
    heads: list[mtf.Dimension]
    channels: mtf.Dimension
    width: mtf.Dimension
    before: int


def convolve(x: mtf.Tensor, kernel: mtf.Tensor, window: Window) -> mtf.Tensor:
    """Compute y[b, i, h, c] = sum_o kernel[b, i, h, o] x[b, i + o - before, h, c].

    Positions outside of x count as zeros.

    Args:
      x: [batch, length, heads, channels] in some order.
      kernel: [heads, width], or [batch, length, heads, width] in some order.
      window: these dimensions, and the place of the window.

    Returns:
      A tensor of x's shape.

    Raises:
      ValueError: (when lowered) the layout splits `length` or `width`.
    """
    return _Convolution(x, kernel, window).outputs[0]


class _Convolution(mtf.Operation):
    def __init__(self, x: mtf.Tensor, kernel: mtf.Tensor, window: Window):
        length, heads, channels, width, before = window
        super().__init__([x, kernel], name="convolution")
        self.whole = [length, width]
        self._before = before
        self._shared = length not in kernel.shape.dims
        batch = [d for d in x.shape.dims if d not in (length, *heads, channels)]
        outer = [*heads] if self._shared else [*batch, length, *heads]
        self._x_order = [x.shape.dims.index(d) for d in (*batch, length, *heads, channels)]
        self._kernel_order = [kernel.shape.dims.index(d) for d in (*outer, width)]
        self._batch = len(batch)
        self._outputs = [mtf.Tensor(self, x.shape, x.dtype)]
        self._splittable_dims, self._unsplittable_dims = (
            self._initialize_splittable_and_unsplittable_dims(
                "splittable", [d.name for d in self.whole]
            )
        )

    def on_slices(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Return the result on one device; dimensions of all three are in Mesh's order."""
        ordered = tf.transpose(x, self._x_order)
        sizes = ordered.shape.as_list()
        batch, (length, *heads, channels) = sizes[: self._batch], sizes[self._batch :]
        columns = tf.reshape(ordered, [math.prod(batch), length, math.prod(heads), channels])
        kernel = tf.transpose(kernel, self._kernel_order)
        width = kernel.shape.as_list()[-1]
        if self._shared:
            kernel = tf.reshape(kernel, [math.prod(heads), width])
            y = _shared_kernel(columns, kernel, self._before)
        else:
            kernel = tf.reshape(kernel, [*columns.shape.as_list()[:3], width])
            y = _own_kernels(columns, kernel, self._before)
        inverse = [self._x_order.index(axis) for axis in range(len(sizes))]
        return tf.transpose(tf.reshape(y, sizes), inverse)

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor]:
        return _ConvolutionGradient(self, grad_ys[0]).outputs

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        for dim in self.whole:
            if mesh_impl.tensor_dimension_to_mesh_axis(dim) is not None:
                raise ValueError(
                    f"the layout splits {dim}, along which a convolution runs. Remove {dim.name} "
                    "from the layout rules (utils.run.layout_rules)"
                )
        x, kernel = (lowering.tensors[t] for t in self.inputs)
        y = mesh_impl.slicewise(self.on_slices, x, kernel)
        lowering.set_tensor_lowering(self.outputs[0], y)


class _ConvolutionGradient(mtf.Operation):
    """Gradients of `convolve` to x and to the kernel."""

    def __init__(self, forward: _Convolution, grad: mtf.Tensor):
        x, kernel = forward.inputs
        super().__init__([x, kernel, grad], name="convolution_gradient")
        self._forward = forward
        self._outputs = [
            mtf.Tensor(self, x.shape, x.dtype, index=0),
            mtf.Tensor(self, kernel.shape, kernel.dtype, index=1),
        ]
        self._splittable_dims, self._unsplittable_dims = (
            self._initialize_splittable_and_unsplittable_dims(
                "splittable", [d.name for d in forward.whole]
            )
        )

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        x, kernel, _ = self.inputs

        def gradients(x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # Copies, because the kernel may depend on x, and Mesh adds that gradient itself.
            inputs = tf.identity(x), tf.identity(kernel)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                y = self._forward.on_slices(*inputs)
            return tape.gradient(y, inputs, dy)

        dx, dkernel = mesh_impl.slicewise(gradients, *(lowering.tensors[t] for t in self.inputs))
        lowering.set_tensor_lowering(self.outputs[0], dx)
        summed = mtf.Shape([d for d in x.shape.dims if d not in kernel.shape.dims])
        axes = [
            a for a in mesh_impl.tensor_layout(summed).tensor_axis_to_mesh_axis if a is not None
        ]
        if axes:
            dkernel = mtf.ops.LazyAllreduceSum(
                mesh_impl,
                dkernel,
                axes,
                add_counter_fn=lambda: lowering.add_counter(
                    f"allreduce/{axes}/convolution_gradient",
                    mesh_impl.laid_out_size(kernel.shape),
                ),
            )
        lowering.set_tensor_lowering(self.outputs[1], dkernel)


def _shared_kernel(x: tf.Tensor, kernel: tf.Tensor, before: int) -> tf.Tensor:
    """Convolve x [rows, length, heads, channels] with one kernel [heads, width]."""
    rows, length, heads, channels = x.shape.as_list()
    width = kernel.shape.as_list()[-1]
    filters = tf.repeat(tf.transpose(kernel), channels, axis=1)  # [width, heads * channels]
    flat = tf.reshape(x, [rows, length, heads * channels])
    padded = tf.pad(flat, [[0, 0], [before, width - 1 - before], [0, 0]])
    y = tf.nn.depthwise_conv2d(
        tf.expand_dims(padded, 1), filters[None, :, :, None], [1, 1, 1, 1], "VALID"
    )
    return tf.reshape(y, [rows, length, heads, channels])


def _own_kernels(x: tf.Tensor, kernel: tf.Tensor, before: int) -> tf.Tensor:
    """Convolve x [rows, length, heads, channels] with kernels [rows, length, heads, width].

    A block of T positions is multiplied by a matrix [T, T + width - 1], which holds the kernels of
    these positions along the diagonal.
    """
    rows, length, heads, channels = x.shape.as_list()
    width = kernel.shape.as_list()[-1]
    block = max(min(_BLOCK, length), width - 1)
    blocks = -(-length // block)
    behind = (blocks + 1) * block - length - before
    padded = tf.pad(x, [[0, 0], [before, behind], [0, 0], [0, 0]])
    padded = tf.reshape(padded, [rows, blocks + 1, block, heads, channels])
    windows = tf.concat([padded[:, :-1], padded[:, 1:, : width - 1]], axis=2)
    kernel = tf.pad(kernel, [[0, 0], [0, blocks * block - length], [0, 0], [0, 0]])
    kernel = tf.reshape(kernel, [rows, blocks, block, heads, width])
    banded = _banded(tf.transpose(kernel, [0, 1, 3, 2, 4]))
    y = tf.einsum("bnhts,bnshc->bnthc", banded, windows)
    return tf.reshape(y, [rows, blocks * block, heads, channels])[:, :length]


def _banded(kernel: tf.Tensor) -> tf.Tensor:
    """Shift row t of [..., T, width] by t places to the right: [..., T, T + width - 1]."""
    *outer, block, width = kernel.shape.as_list()
    none = [[0, 0]] * (len(outer) + 1)
    # Rows of T + width, read as rows shorter by one, each begin one place later than the last.
    flat = tf.reshape(tf.pad(kernel, [*none, [0, block]]), [*outer, block * (block + width)])
    return tf.reshape(flat[..., :-block], [*outer, block, block + width - 1])
