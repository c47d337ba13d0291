"""What XLA can compile of a TensorFlow graph, by the kernels that TensorFlow has registered for it.

TensorFlow says which operations XLA can compile, and for which types, in its registry of kernels:
those of the device XLA_TPU_JIT in a TensorFlow that is built for TPUs, of XLA_CPU_JIT in all
others. Both are the same C++ classes (tensorflow/compiler/tf2xla/kernels) but for a few that one
backend leaves out: exchanges between cores are only there for TPUs.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import kernels

# Of the first one that there are kernels for.
DEVICES = ("XLA_TPU_JIT", "XLA_CPU_JIT")
COLLECTIVES = ("CrossReplicaSum", "AllToAll", "CollectivePermute")

# The frame around a computation and its loops, which TensorFlow's passes for TPUs take away before
# anything is compiled.
_FRAME = frozenset(
    ["TPUReplicateMetadata", "TPUReplicatedInput", "TPUReplicatedOutput", "TPUCompilationResult"]
    + ["Enter", "Exit", "Switch", "Merge", "NextIteration", "LoopCond", "NoOp", "ControlTrigger"]
)
# What tpu.replicate only warns of.
_REFUSED = frozenset(
    ["AudioSummary", "AudioSummaryV2", "HistogramSummary", "ImageSummary", "MergeSummary"]
    + ["Placeholder", "Print", "ScalarSummary", "TensorSummary", "TensorSummaryV2"]
)


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is in the computation that each core runs.

    Attributes:
      operations: their number.
      unsupported: those that XLA has no kernel for, or none for their types.
      dynamic: tensors whose shape is not known before they are computed.
      collectives: (type, cores in a group) -> number.
    """

    operations: int
    unsupported: tuple[str, ...]
    dynamic: tuple[str, ...]
    collectives: Mapping[tuple[str, int], int]


def look_at(operations: Sequence[tf.Operation], rounds: int = 1) -> Findings:
    """What a TPU would have to do.

    Args:
      operations: of the computation.
      rounds: how often its loops run.
    """
    return Findings(
        operations=len(operations),
        unsupported=tuple(_described(each) for each in operations if not is_supported(each)),
        dynamic=tuple(
            f"{tensor.name} {tensor.shape}"
            for operation in operations
            for tensor in operation.outputs
            if is_dynamic(tensor)
        ),
        collectives=collectives(operations, rounds),
    )


def collectives(
    operations: Iterable[tf.Operation], rounds: int
) -> collections.Counter[tuple[str, int]]:
    """(type, cores in a group) -> how often, exchanges of a core with itself left out."""
    found: collections.Counter[tuple[str, int]] = collections.Counter()
    for operation in operations:
        if operation.type in COLLECTIVES and group_size(operation) > 1:
            times = rounds if "/while/" in operation.name else 1
            found[operation.type, group_size(operation)] += times
    return found


def group_size(operation: tf.Operation) -> int:
    """How many cores exchange with one another."""
    groups = np.array(tf.get_static_value(operation.inputs[1]))
    return len(groups) if operation.type == "CollectivePermute" else groups.shape[1]


def is_dynamic(tensor: tf.Tensor) -> bool:
    """Whether the shape of a tensor is not known; a variable's handle has none that matters."""
    return tensor.dtype.base_dtype != tf.resource and not tensor.shape.is_fully_defined()


def is_supported(operation: tf.Operation) -> bool:
    """Whether TensorFlow has registered a kernel for XLA that takes the operation's types."""
    if operation.type in _REFUSED:
        return False
    if operation.type in _FRAME or operation.type in COLLECTIVES:
        return True
    return any(_takes(kernel, operation) for kernel in kernels_of(operation.type))


@functools.cache
def kernels_of(operation_type: str) -> list[Any]:
    """The kernels that XLA compiles a type of operation with."""
    device = xla_device()
    found = kernels.get_registered_kernels_for_op(operation_type).kernel
    return [kernel for kernel in found if kernel.device_type == device]


@functools.cache
def xla_device() -> str:
    """The first of DEVICES that this TensorFlow has kernels for."""
    with context.eager_mode():  # kernels of XLA are registered once it is used
        tf.function(lambda x: x + 1.0, jit_compile=True)(1.0)
    there = {k.device_type for k in kernels.get_registered_kernels_for_op("MatMul").kernel}
    return next(device for device in DEVICES if device in there)


def _takes(kernel: Any, operation: tf.Operation) -> bool:
    for constraint in kernel.constraint:
        given = operation.get_attr(constraint.name)
        wanted = set(constraint.allowed_values.list.type)
        types = given if isinstance(given, list) else [given]
        if wanted and not all(tf.as_dtype(each).as_datatype_enum in wanted for each in types):
            return False
    return True


def _described(operation: tf.Operation) -> str:
    types = [tensor.dtype.name for tensor in (*operation.inputs, *operation.outputs)]
    return f"{operation.type} {operation.name} ({', '.join(types)})"
