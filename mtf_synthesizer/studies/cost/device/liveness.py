"""The peak memory of a TensorFlow graph that runs in the order in which it was built.

The peak is an estimate: each tensor lives from the operation that makes the tensor to the last
operation that uses it. Results that share the memory of an operand (`_SAME`) or may take it over
(`_IN_PLACE`) do so. Scratch memory of an operation, beside operands and results, is not counted.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf

# The result of these operations is their first operand, or any operand for Merge.
_SAME = frozenset(
    ["Assign", "AssignAdd", "AssignSub", "Enter", "Exit", "ExpandDims", "Identity", "Merge"]
    + ["NextIteration", "PreventGradient", "ReadVariableOp", "RefEnter", "RefExit", "RefMerge"]
    + ["RefNextIteration", "RefSwitch", "Reshape", "Squeeze", "StopGradient", "Switch"]
)
# Element-wise operations: TensorFlow overwrites an operand that is no longer needed.
_IN_PLACE = frozenset(
    ["Abs", "Add", "AddN", "AddV2", "BiasAdd", "Cos", "Div", "DivNoNan", "Elu", "Erf", "Exp"]
    + ["Log", "LogSoftmax", "LogicalAnd", "LogicalNot", "LogicalOr", "Maximum", "Minimum", "Mul"]
    + ["MulNoNan", "Neg", "Pow", "RealDiv", "Reciprocal", "Relu", "ReluGrad", "Rsqrt", "RsqrtGrad"]
    + ["Select", "SelectV2", "Sigmoid", "SigmoidGrad", "Sign", "Sin", "Softmax", "Sqrt"]
    + ["SqrtGrad", "Square", "SquaredDifference", "Sub", "Tanh", "TanhGrad", "ZerosLike"]
)
_VARIABLES = frozenset(["Variable", "VariableV2", "VarHandleOp"])


@dataclasses.dataclass(frozen=True)
class Peak:
    """The peak of memory.

    Attributes:
      bytes: bytes of all tensors except variables.
      marked_bytes: bytes of the marked tensors among them.
    """

    bytes: int
    marked_bytes: int


def needed(results: Iterable[tf.Operation]) -> list[tf.Operation]:
    """The operations that results depend on, in the order in which they were built."""
    reached: set[tf.Operation] = set()
    waiting = list(results)
    while waiting:
        operation = waiting.pop()
        if operation not in reached:
            reached.add(operation)
            waiting.extend(tensor.op for tensor in operation.inputs)
            waiting.extend(operation.control_inputs)
    graph = next(iter(reached)).graph if reached else tf.get_default_graph()
    return [operation for operation in graph.get_operations() if operation in reached]


def peak(operations: Sequence[tf.Operation], marked: Iterable[tf.Tensor] = ()) -> Peak:
    """The peak of memory while these operations run one after another.

    Args:
      operations: the operations, in their order.
      marked: tensors whose share of the peak is reported too.
    """
    memory = _Memory(operations, marked)
    highest = Peak(0, 0)
    for number, operation in enumerate(operations):
        memory.run(number, operation)
        if memory.bytes > highest.bytes:
            highest = Peak(memory.bytes, memory.marked_bytes)
        memory.free(number)
    return highest


class _Memory:
    """The buffers that exist; a buffer that several tensors share has the name of one of them."""

    def __init__(self, operations: Sequence[tf.Operation], marked: Iterable[tf.Tensor]):
        self.bytes = 0
        self.marked_bytes = 0
        self._shared = _Shared(operations)
        self._size = _sizes(operations, self._shared)
        self._last_use, self._dying = _last_uses(operations, self._shared)
        self._marked = {self._shared.buffer(tensor.name) for tensor in marked}
        self._alive: set[str] = set()

    def run(self, number: int, operation: tf.Operation) -> None:
        """Allocate the results of an operation."""
        free = self._that_end_here(number, operation) if operation.type in _IN_PLACE else []
        for tensor in operation.outputs:
            buffer = self._shared.buffer(tensor.name)
            if buffer in self._alive or not self._size[buffer]:
                continue
            taken = [candidate for candidate in free if self._size[candidate] == self._size[buffer]]
            if taken:
                free.remove(taken[0])
                self._remove(taken[0])
            self._add(buffer)

    def free(self, number: int) -> None:
        """Free the buffers that no later operation uses."""
        for buffer in self._dying.get(number, ()):
            if buffer in self._alive:
                self._remove(buffer)

    def _that_end_here(self, number: int, operation: tf.Operation) -> list[str]:
        buffers = {self._shared.buffer(tensor.name) for tensor in operation.inputs}
        return sorted(b for b in buffers & self._alive if self._last_use[b] == number)

    def _add(self, buffer: str) -> None:
        self._alive.add(buffer)
        self._count(buffer, self._size[buffer])

    def _remove(self, buffer: str) -> None:
        self._alive.remove(buffer)
        self._count(buffer, -self._size[buffer])

    def _count(self, buffer: str, size: int) -> None:
        self.bytes += size
        if buffer in self._marked:
            self.marked_bytes += size


class _Shared:
    """Tensors that lie in the same memory."""

    def __init__(self, operations: Iterable[tf.Operation]):
        self._parent: dict[str, str] = {}
        for operation in operations:
            if operation.type in _SAME:
                operands = (
                    operation.inputs if operation.type.endswith("Merge") else operation.inputs[:1]
                )
                results = [t for t in operation.outputs if _is_whole(t, operation)]
                for tensor in [*operands, *results]:
                    self._unite(tensor.name, operation.outputs[0].name)

    def buffer(self, tensor: str) -> str:
        """The name of a tensor's memory."""
        while tensor in self._parent:
            tensor = self._parent[tensor]
        return tensor

    def _unite(self, first: str, second: str) -> None:
        first, second = self.buffer(first), self.buffer(second)
        if first != second:
            self._parent[second] = first


def _is_whole(tensor: tf.Tensor, operation: tf.Operation) -> bool:
    """Check that a result is the operand passed through: Merge also returns the operand's index."""
    return not (operation.type.endswith("Merge") and tensor.value_index == 1)


def _sizes(operations: Iterable[tf.Operation], shared: _Shared) -> dict[str, int]:
    """Map buffers to bytes, without variables."""
    sizes: dict[str, int] = collections.defaultdict(int)
    variables = set()
    for operation in operations:
        for tensor in operation.outputs:
            buffer = shared.buffer(tensor.name)
            elements = tensor.shape.num_elements() or 0
            sizes[buffer] = max(sizes[buffer], elements * tensor.dtype.base_dtype.size)
            if operation.type in _VARIABLES:
                variables.add(buffer)
    return {buffer: 0 if buffer in variables else size for buffer, size in sizes.items()}


def _last_uses(
    operations: Sequence[tf.Operation], shared: _Shared
) -> tuple[dict[str, int], dict[int, list[str]]]:
    """Map each buffer to the last operation that makes or uses it, and the reverse."""
    last: dict[str, int] = {}
    enters = set()
    end_of_loops = 0
    for number, operation in enumerate(operations):
        for tensor in [*operation.inputs, *operation.outputs]:
            last[shared.buffer(tensor.name)] = number
        if operation.type.endswith("Enter"):
            enters.add(shared.buffer(operation.outputs[0].name))
        if operation.type.endswith("Exit"):
            end_of_loops = number
    for buffer in enters:  # each round of the loop needs the buffer again
        last[buffer] = max(last[buffer], end_of_loops)
    ending: dict[int, list[str]] = collections.defaultdict(list)
    for buffer, number in last.items():
        ending[number].append(buffer)
    return last, ending
