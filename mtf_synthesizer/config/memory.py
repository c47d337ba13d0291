"""Estimate of the memory of a training step on a CPU, from literals of the configuration.

The estimate is for a warning before a long run; `cost` counts exactly. Its numbers of copies were
fitted to measured runs (docs/runs.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mtf_synthesizer.config.values import BoundValues

_FLOAT = 4  # bytes
_PROGRAM = 1.0e9  # bytes of Python, TensorFlow, T5 and the input pipeline
_PER_PARAMETER = 3  # value, gradient, and a copy in the update or in a checkpoint
_OF_LOGITS = 4  # logits, softmax, and their gradients
_OF_WEIGHTS = 4  # logits, softmax, dropout, gradients of each layer, in a row's attention
_OF_WIDTH = 12  # of each layer's norms, dropouts, projections and residuals
_OF_HIDDEN = 3  # of a feed-forward layer
_OF_HEADS = 4  # of queries, keys, values and what the weights make of them
_MOMENTS = 2  # of Adam, each as large as its parameter; Adafactor's are rows and columns
_ADAM = {"AdamWeightDecayOptimizer"}
_OF_TERM = 2  # of the logits of each further term of a mixture
# Functions whose logits all rows share unless they are packed: no row has weights of its own.
_TABLES = {"Random", "FixedRandom", "TokenMixing"}
_SHARED = {*_TABLES, "FactorizedRandom", "Toeplitz", "Uniform"}
_PER_ROW = {"DotProduct", "Dense", "FactorizedDense", "SelfAttention"}
_STACKS: Mapping[str, Mapping[str, str]] = {
    "bitransformer": {"encoder": "inputs", "decoder": "targets"},
    "aligned": {"": "inputs"},
    "lm": {"": "targets"},
    "delimited_lm": {"": "targets"},
}


@dataclasses.dataclass(frozen=True)
class MemoryNeeds:
    """Memory of a training step.

    Attributes:
      fixed: bytes of the program and the parameters.
      per_sequence: bytes of the activations of a row of the batch.
    """

    fixed: float
    per_sequence: float

    def of_batch(self, size: int) -> float:
        """Return the bytes of a step with `size` rows."""
        return self.fixed + size * self.per_sequence

    def largest_batch(self, size: int, usable: float) -> int | None:
        """Return the largest half, quarter, ... of a batch size that fits; None if none does."""
        while size > 1:
            size //= 2
            if self.of_batch(size) <= usable:
                return size
        return None


def needs(
    bound: BoundValues, lengths: Mapping[str, int], model_type: str, words: int
) -> MemoryNeeds | None:
    """Estimate the memory of a training step.

    Args:
      bound: the configuration.
      lengths: tokens of a row of each feature.
      model_type: as in `utils.run.model_type`.
      words: size of the vocabulary.

    Returns:
      None where no literals give the sizes of the model.
    """
    stacks = [
        _Stack(
            bound.within(scope), lengths[feature], lengths["inputs"] if scope == "decoder" else 0
        )
        for scope, feature in _STACKS.get(model_type, {}).items()
    ]
    width = bound.macro("d_model")
    if not stacks or not isinstance(width, int) or not all(stack.is_known for stack in stacks):
        return None
    predicted = lengths["inputs" if model_type == "aligned" else "targets"]
    parameters = words * width + sum(stack.parameters(width) for stack in stacks)
    copies = _PER_PARAMETER
    if _ADAM.intersection(bound.used("run")):
        copies += _MOMENTS
    fixed = copies * parameters + sum(stack.shared_floats() for stack in stacks)
    activations = _OF_LOGITS * predicted * words + sum(stack.floats(width) for stack in stacks)
    return MemoryNeeds(_PROGRAM + _FLOAT * fixed, _FLOAT * activations)


class _Stack:
    """Sizes of a stack of layers.

    Args:
      bound: the configuration in the scope of the stack.
      length: tokens of its rows.
      memory_length: tokens of the encoder's rows, for a decoder; 0 without an encoder.
    """

    def __init__(self, bound: BoundValues, length: int, memory_length: int):
        names = ("num_layers", "d_ff", "num_heads", "d_kv")
        self._sizes = [bound.macro(name) for name in names]
        self._length, self._memory_length = length, memory_length
        used = bound.used("make_layer_stack") | bound.layers()
        self._per_row, self._shared = len(used & _PER_ROW), len(used & _SHARED)
        if self._shared and bound.value("mesh_train_dataset_fn", "pack") is not False:
            self._per_row, self._shared = self._per_row + self._shared, 0
        table = bound.macro("max_length") or 0
        self._table = table**2 if isinstance(table, int) and used & _TABLES else 0

    @property
    def is_known(self) -> bool:
        return all(isinstance(size, int) for size in self._sizes)

    def parameters(self, width: int) -> int:
        """Return the number of parameters, without norms and biases."""
        layers, d_ff, heads, d_kv = self._sizes
        attention = 4 * width * heads * d_kv * (2 if self._memory_length else 1)
        return int(layers * (attention + 2 * width * d_ff + heads * self._table))

    def shared_floats(self) -> int:
        """Return the number of logits and weights that all rows of the batch share."""
        layers, _, heads, _ = self._sizes
        copies = _OF_TERM * self._shared if self._per_row else _OF_WEIGHTS * self._shared
        return int(layers * heads * self._length * self._length * copies)

    def floats(self, width: int) -> int:
        """Return the number of activations that a row of the batch keeps for the gradient."""
        layers, d_ff, heads, d_kv = self._sizes
        tokens = _OF_WIDTH * width + _OF_HIDDEN * d_ff + _OF_HEADS * heads * d_kv
        weights = heads * self._length * _OF_WEIGHTS * self._memory_length
        if self._per_row:
            copies = _OF_WEIGHTS + _OF_TERM * (self._per_row - 1)
            weights += heads * self._length * self._length * copies
        return int(layers * (self._length * tokens + weights))
