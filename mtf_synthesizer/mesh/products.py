"""Matrix products on CPUs: in bfloat16 where oneDNN needs bfloat16 operands, and of few rows."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.runtime import precision

# Minimal number of multiplications per converted element, below which conversion costs more than
# it saves. Measured on a CPU with AVX512-BF16: 11 ps saved per multiplication, 0.5 to 1 ns for
# each element read or written.
_LEAST_WORK = 100

# Maximal number of rows of a product that TensorFlow's MatMul computes sooner than its Einsum,
# which prepares the weights in every call: 1.3 to 4 times as long for 8 rows, equal for 64.
_FEW_ROWS = 32

_exact: contextvars.ContextVar[bool] = contextvars.ContextVar("exact", default=False)


@contextlib.contextmanager
def in_float32() -> Iterator[None]:
    """Keep the products that are lowered inside in float32."""
    token = _exact.set(True)
    try:
        yield
    finally:
        _exact.reset(token)


def einsum(equation: str, *operands: tf.Tensor) -> tf.Tensor:
    """Compute `tf.einsum`, with bfloat16 operands if the process uses them and conversion pays.

    A bfloat16 result is rounded to bfloat16, as in other frameworks' autocast, and returned as
    float32. Other products of few rows, as in decoding, are computed by `tf.matmul`.
    TensorFlow merges equal conversions, so an activation is converted once for the forward product
    and both gradients.

    Args:
      equation: as in `tf.einsum`.
      *operands: the operands; two float32 matrices or stacks of them are converted.

    Returns:
      The product, in the operands' type.
    """
    if _exact.get() or not precision.needs_casts() or not _pays(equation, operands):
        return _unrounded(equation, *operands)
    rounded = (tf.cast(operand, tf.bfloat16) for operand in operands)
    return tf.cast(tf.einsum(equation, *rounded), tf.float32)


def _unrounded(equation: str, *operands: tf.Tensor) -> tf.Tensor:
    matrices = _as_matrices(equation, operands)
    if matrices is None or matrices[0].shape[0] > _FEW_ROWS:
        return tf.einsum(equation, *operands)
    rows, weights = operands
    size = [*rows.shape.as_list()[:-1], *weights.shape.as_list()[1:]]
    return tf.reshape(tf.matmul(*matrices), size)


def _as_matrices(
    equation: str, operands: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Return both operands as matrices if the equation is a product of two without transposing."""
    inputs, output = equation.split("->")
    if len(operands) != 2 or not all(x.shape.is_fully_defined() for x in operands):
        return None
    first, second = inputs.split(",")
    if first[-1:] != second[:1] or output != first[:-1] + second[1:]:
        return None
    size = operands[1].shape.as_list()[0]
    return tf.reshape(operands[0], [-1, size]), tf.reshape(operands[1], [size, -1])


def _pays(equation: str, operands: tuple[tf.Tensor, ...]) -> bool:
    if len(operands) != 2 or any(operand.dtype != tf.float32 for operand in operands):
        return False
    inputs, output = equation.split("->")
    if not all(operand.shape.is_fully_defined() for operand in operands):
        return False
    sizes: dict[str, int] = {}
    for letters, operand in zip(inputs.split(","), operands, strict=True):
        sizes |= zip(letters, operand.shape.as_list(), strict=True)
    work = math.prod(sizes.values())
    converted = sum(math.prod([sizes[d] for d in part]) for part in (*inputs.split(","), output))
    return work >= _LEAST_WORK * converted


def stacked(rows: mtf.Tensor, matrices: mtf.Tensor, output: mtf.Shape) -> mtf.Tensor:
    """Multiply rows by the matrix of their example and head, as `mtf.einsum` would.

    Mesh multiplies one row by a matrix element by element and then sums: two passes over an array
    as large as the matrix. This product reads the matrix once. It has Mesh's gradient, and is not
    among the counters of Mesh's lowering.

    Args:
      rows: the shared dimensions, or some of them, any others, and c, in some order.
      matrices: [shared..., c, n] or [shared..., n, c].
      output: the shared and other dimensions, and n, in some order.
    """
    *shared, first, last = matrices.shape.dims
    summed, new = (last, first) if last in rows.shape.dims else (first, last)
    own = [d for d in rows.shape.dims if d not in shared and d != summed]
    present = [d for d in shared if d in rows.shape.dims]
    rows = mtf.transpose(rows, mtf.Shape([*present, *own, summed]))
    product = _StackedProduct([rows, matrices], mtf.Shape([*shared, *own, new])).outputs[0]
    return mtf.transpose(product, output)


def as_matrices(x: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
    """Return keys or values [..., width] as [..., dim, width], the order that `stacked` reads.

    Args:
      x: a tensor whose last dimension is the width of a head.
      dim: the dimension of the positions.
    """
    *others, width = x.shape.dims
    return mtf.transpose(x, mtf.Shape([*(d for d in others if d != dim), dim, width]))


class _StackedProduct(mtf.EinsumOperation):
    """An einsum of rows with a stack of matrices, in the orders that `stacked` makes."""

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        rows, matrices = self.inputs
        *shared, _, last = matrices.shape.dims
        is_transposed = last == rows.shape.dims[-1]
        has = [d in rows.shape.dims for d in shared]

        def multiply(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
            sizes = x.shape.as_list()
            own = sizes[sum(has) : -1]
            stack = iter(sizes)
            broadcast = [next(stack) if is_there else 1 for is_there in has]
            x = tf.reshape(x, [*broadcast, math.prod(own), sizes[-1]])
            product = tf.matmul(x, y, transpose_b=is_transposed)
            return tf.reshape(product, [*y.shape.as_list()[:-2], *own, product.shape[-1]])

        product = mesh_impl.slicewise(multiply, lowering.tensors[rows], lowering.tensors[matrices])
        axis = mesh_impl.tensor_dimension_to_mesh_axis(rows.shape.dims[-1])
        if axis is not None:
            product = mtf.LazyAllreduceSum(mesh_impl, product, [axis])
        lowering.set_tensor_lowering(self.outputs[0], product)


class Float32Product(mtf.EinsumOperation):
    """An einsum with an exact float32 result; its gradients follow the process's precision."""

    def lower(self, lowering: mtf.Lowering) -> None:
        with in_float32():
            super().lower(lowering)


def on_processors(mesh_impl: mtf.placement_mesh_impl.PlacementMeshImpl) -> bool:
    """Return whether all devices of a mesh are CPUs."""
    return not any("gpu" in str(device).lower() for device in mesh_impl.devices)
