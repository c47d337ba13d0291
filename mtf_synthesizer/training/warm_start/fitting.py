"""Synthesizing functions fitted to the attention of a trained model, in NumPy.

For each head, R is the logarithm of the mean attention between two positions. PAPA (Hassid et al.
2022, https://arxiv.org/abs/2211.03495) has this table as a constant; here it can be trained. FR is
its truncated singular value decomposition, Toeplitz has its mean along each diagonal, banded R its
band, and D is a least-squares fit of every example's logarithms.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.special

from mtf_synthesizer import errors
from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    FactorizedRandom,
    OwnProjection,
    Random,
)

Variables = dict[str, np.ndarray]
LEAST = 1e-6  # attention below this counts as this, because its logarithm has no bound
_DAMPING = 1e-3  # of the least squares, as a share of the mean square of a feature


@dataclasses.dataclass
class AttentionSums:
    """Sums over the examples of one layer.

    Attributes:
      causal: whether a query sees no later key.
      total: float64 [heads, length, memory_length], sums of attention weights.
      count: float64 [length, memory_length], the number of examples with both tokens.
      entropy: float64 [heads], sums of -Σ w log w over the queries of all examples.
      sizes: int [examples, 2], real queries and keys of each example.
    """

    causal: bool
    total: np.ndarray
    count: np.ndarray
    entropy: np.ndarray
    sizes: np.ndarray

    @property
    def queries(self) -> int:
        """The number of queries of all examples."""
        return int(self.sizes[:, 0].sum())


def summed(weights: np.ndarray, sizes: np.ndarray, causal: bool) -> AttentionSums:
    """Sum the attention of examples.

    Args:
      weights: [examples, heads, length, memory_length].
      sizes: real queries and keys of each example.
      causal: whether a query sees no later key.
    """
    shown = visible(sizes, weights.shape[2:], causal)
    kept = weights * shown[:, None]
    return AttentionSums(
        causal,
        kept.sum(0, dtype=np.float64),
        shown.sum(0, dtype=np.float64),
        scipy.special.entr(kept.astype(np.float64)).sum((0, 2, 3)),
        sizes,
    )


def joined(first: AttentionSums, second: AttentionSums) -> AttentionSums:
    """Return the sums over the examples of both."""
    return AttentionSums(
        first.causal,
        first.total + second.total,
        first.count + second.count,
        first.entropy + second.entropy,
        np.concatenate([first.sizes, second.sizes]),
    )


def visible(sizes: np.ndarray, lengths: tuple[int, ...], causal: bool) -> np.ndarray:
    """Return which pairs of tokens are real and visible, bool [examples, length, memory_length]."""
    query, key = np.arange(lengths[0]), np.arange(lengths[1])
    shown = (query < sizes[:, :1])[:, :, None] & (key < sizes[:, 1:])[:, None]
    return shown & (key[None] <= query[:, None]) if causal else shown


def logarithms(attention: AttentionSums, length: int) -> np.ndarray:
    """Return log of the mean attention, [heads, length, length], each row with the mean 0.

    Pairs that no example has take the mean of their diagonal, or of the nearest one; pairs that a
    causal mask hides are 0.
    """
    heads, queries, keys = attention.total.shape
    mean = attention.total / np.maximum(attention.count, 1)
    seen = np.log(np.maximum(mean, LEAST))
    table = diagonals(seen, attention.count, length)[:, behind(length, length) + length - 1]
    known = np.zeros((length, length), bool)
    known[:queries, :keys] = (attention.count > 0)[:length, :length]
    part = np.zeros((heads, length, length))
    part[:, :queries, :keys] = seen[:, :length, :length]
    table = np.where(known, part, table)
    shown = np.tril(np.ones((length, length), bool)) if attention.causal else np.full_like(known, 1)
    means = (table * shown).sum(-1, keepdims=True) / shown.sum(-1, keepdims=True)
    centred: np.ndarray = (table - means) * shown
    return centred


def diagonals(values: np.ndarray, count: np.ndarray, length: int) -> np.ndarray:
    """Return the mean along each diagonal, [heads, 2 length - 1], from key - query = length - 1 on.

    The mean is weighted by the counts; a diagonal without any takes that of the nearest one.
    """
    distance = np.arange(1 - length, length)
    offsets = behind(*count.shape)
    means = np.zeros((len(values), len(distance)))
    known = np.zeros(len(distance), bool)
    for place, offset in enumerate(distance):
        weights = count * (offsets == offset)
        known[place] = weights.any()
        if known[place]:
            means[:, place] = (values * weights).sum((1, 2)) / weights.sum()
    nearest = np.array([np.abs(np.where(known, distance, np.inf) - d).argmin() for d in distance])
    filled: np.ndarray = means[:, nearest]
    return filled


def behind(queries: int, keys: int) -> np.ndarray:
    """Return how many positions each key lies behind each query, [queries, keys]."""
    return np.arange(queries)[:, None] - np.arange(keys)


def _random(function: Random, attention: AttentionSums) -> Variables:
    return {"table": logarithms(attention, function.max_length)}


def _factorized(function: FactorizedRandom, attention: AttentionSums) -> Variables:
    left, values, right = np.linalg.svd(logarithms(attention, function.max_length))
    root = np.sqrt(values[:, None, : function.rank])
    keys = np.swapaxes(right[:, : function.rank], 1, 2)
    return {"r1": left[:, :, : function.rank] * root, "r2": keys * root}


def _toeplitz(function: Toeplitz, attention: AttentionSums) -> Variables:
    mean = attention.total / np.maximum(attention.count, 1)
    logs = np.log(np.maximum(mean, LEAST))
    return {"table": diagonals(logs, attention.count, function.max_length)}


def _banded(function: BandedRandom, attention: AttentionSums) -> Variables:
    logs = logarithms(attention, function.max_length)
    keys = np.arange(-function.width, function.width + 1) + np.arange(function.max_length)[:, None]
    index = np.broadcast_to(np.clip(keys, 0, function.max_length - 1), (len(logs), *keys.shape))
    return {"table": np.take_along_axis(logs, index, 2)}


_BY_POSITION: Mapping[type[SynthesizingFunction], Callable[..., Variables]] = {
    Random: _random,
    FactorizedRandom: _factorized,
    Toeplitz: _toeplitz,
    BandedRandom: _banded,
}


def check(scope: str, function: Any) -> None:
    """Check that a function can be fitted.

    Raises:
      errors.UserError: it is another one.
    """
    own = isinstance(function, Dense) and isinstance(function.hidden, OwnProjection)
    plain = own and not getattr(function, "shared_heads", False)
    if type(function) not in _BY_POSITION and not plain:
        kinds: tuple[type[SynthesizingFunction], ...] = (*_BY_POSITION, Dense)
        known = ", ".join(kind.__name__ for kind in kinds)
        raise errors.UserError(
            f"--fit: {scope} has {type(function).__name__}, which can't be fitted. Choose a "
            f"synthesizer of one function alone, of {known} (with W1 and W2 for each head)"
        )


def by_position(
    function: SynthesizingFunction, attention: AttentionSums
) -> tuple[Variables, np.ndarray]:
    """Fit a function of positions.

    Returns:
      Its variables, and the mean KL divergence of its attention from the model's, in nats for each
      head.
    """
    variables = _BY_POSITION[type(function)](function, attention)
    found = logits(function, variables, attention.total.shape[1:])
    return variables, compared(found, attention)[0]


def compared(logits: np.ndarray, attention: AttentionSums) -> tuple[np.ndarray, np.ndarray]:
    """Compare logits with the attention of all examples.

    Args:
      logits: [heads, length, memory_length].
      attention: attention of the other model.

    Returns:
      The mean KL divergence for each head, in nats a query, and its gradient to the logits.
    """
    gradient = -np.where(attention.count > 0, attention.total, 0)
    cross = -(attention.total * np.where(attention.count > 0, logits, 0)).sum((1, 2))
    for (queries, keys), number in zip(
        *np.unique(attention.sizes, axis=0, return_counts=True), strict=True
    ):
        rows = logits[:, :queries, :keys]
        if attention.causal:
            rows = np.where(np.tril(np.ones((queries, keys), bool)), rows, -np.inf)
        norms = scipy.special.logsumexp(rows, axis=-1, keepdims=True)
        cross += number * norms.sum((1, 2))
        gradient[:, :queries, :keys] += number * np.exp(rows - norms)
    return (cross - attention.entropy) / attention.queries, gradient / attention.queries


def logits(
    function: SynthesizingFunction, variables: Variables, lengths: tuple[int, ...]
) -> np.ndarray:
    """Logits of a fitted function, [heads, length, memory_length]."""
    queries, keys = lengths
    if isinstance(function, FactorizedRandom):
        return variables["r1"][:, :queries] @ np.swapaxes(variables["r2"][:, :keys], 1, 2)
    table = variables["table"]
    if isinstance(function, Random):
        return table[:, :queries, :keys]
    distance = behind(queries, keys)
    if isinstance(function, Toeplitz):
        return table[:, distance + function.max_length - 1]
    assert isinstance(function, BandedRandom)
    near = np.clip(-distance, -function.width, function.width) + function.width
    index = np.broadcast_to(near, (len(table), queries, keys))
    rows = np.take_along_axis(table[:, :queries], index, 2)
    return np.where(np.abs(distance) <= function.width, rows, -1e9)


class DenseFit:
    """Least squares of W2 on relu(W1 x) with a drawn W1, and the divergence of the result.

    Call `add` for all batches, then `solve`, then `compare` for all batches.

    Args:
      function: D.
      shape: shape of W1, [d_model, heads, d_kv].
      seed: seed of W1.
    """

    def __init__(self, function: Dense, shape: tuple[int, int, int], seed: int):
        width, heads, kv = shape
        self.w1 = np.random.RandomState(seed).normal(size=shape, scale=width**-0.5)
        self.w2 = np.zeros((heads, kv, function.max_length))
        self._squares = np.zeros((heads, function.max_length, kv, kv))
        self._products = np.zeros((heads, function.max_length, kv))
        self._divergence, self._queries = np.zeros(heads), 0

    def restarted(self) -> DenseFit:
        """Return a copy that has compared no examples."""
        made = copy.deepcopy(self)
        made._divergence, made._queries = np.zeros_like(self._divergence), 0
        return made

    def hidden(self, x: np.ndarray) -> np.ndarray:
        """Return relu(W1 x), [examples, heads, length, d_kv]."""
        return np.maximum(np.einsum("bld,dhk->bhlk", x, self.w1), 0)

    def add(self, weights: np.ndarray, x: np.ndarray, bias: np.ndarray, shown: np.ndarray) -> None:
        """Add examples: their attention, layer inputs, relative bias and visible pairs."""
        hidden, seen = self.hidden(x), shown[:, None]
        logs = np.log(np.maximum(weights, LEAST)) - bias
        counts = np.maximum(seen.sum(-1, keepdims=True), 1)
        logs = (logs - (logs * seen).sum(-1, keepdims=True) / counts) * seen
        keys = weights.shape[3]
        self._products[:, :keys] += np.einsum("bhlm,bhlk->hmk", logs, hidden)
        for key in range(keys):
            rows = hidden * seen[..., key, None]
            self._squares[:, key] += np.einsum("bhlk,bhln->hkn", rows, hidden)

    def solve(self) -> None:
        """Find W2; W2 of keys that no example has stays 0."""
        kv = self.w1.shape[2]
        mean = np.einsum("hmkk->hm", self._squares)[..., None, None] / kv
        damped = self._squares + np.eye(kv) * np.maximum(mean * _DAMPING, 1e-9)
        self.w2 = np.swapaxes(np.linalg.solve(damped, self._products[..., None])[..., 0], 1, 2)

    @property
    def variables(self) -> Variables:
        """W1 and W2."""
        return {"w1": self.w1, "w2": self.w2}

    def compare(
        self, weights: np.ndarray, x: np.ndarray, bias: np.ndarray, shown: np.ndarray
    ) -> None:
        """Add the divergence of examples."""
        logits = self.hidden(x) @ self.w2[:, :, : weights.shape[3]] + bias
        logits = np.where(shown[:, None], logits, -np.inf)
        real: np.ndarray = np.any(shown, axis=-1)
        logits = np.where(real[:, None, :, None], logits, 0.0)
        logs = scipy.special.log_softmax(logits, axis=-1)
        kept = weights * shown[:, None]
        cross = -np.where(kept > 0, kept * np.where(kept > 0, logs, 0), 0).sum((0, 2, 3))
        self._divergence += cross - scipy.special.entr(kept.astype(np.float64)).sum((0, 2, 3))
        self._queries += int(real.sum())

    @property
    def divergence(self) -> np.ndarray:
        """The mean divergence in nats, for each head."""
        return self._divergence / max(self._queries, 1)
