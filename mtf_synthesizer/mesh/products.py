"""Matrix products in bfloat16, on CPUs where oneDNN needs bfloat16 operands for them."""

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

    The result is rounded to bfloat16, as in other frameworks' autocast, and returned as float32.
    TensorFlow merges equal conversions, so an activation is converted once for the forward product
    and both gradients.

    Args:
      equation: as in `tf.einsum`.
      *operands: the operands; two float32 matrices or stacks of them are converted.

    Returns:
      The product, in the operands' type.
    """
    if _exact.get() or not precision.needs_casts() or not _pays(equation, operands):
        return tf.einsum(equation, *operands)
    rounded = (tf.cast(operand, tf.bfloat16) for operand in operands)
    return tf.cast(tf.einsum(equation, *rounded), tf.float32)


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


class Float32Product(mtf.EinsumOperation):
    """An einsum with an exact float32 result; its gradients follow the process's precision."""

    def lower(self, lowering: mtf.Lowering) -> None:
        with in_float32():
            super().lower(lowering)


def on_processors(mesh_impl: mtf.placement_mesh_impl.PlacementMeshImpl) -> bool:
    """Return whether all devices of a mesh are CPUs."""
    return not any("gpu" in str(device).lower() for device in mesh_impl.devices)
