"""Synthetic attention in NumPy, from the paper's equations, with loops over h, i and j.

Slow, in float64, one sequence at a time, and made of nothing that the package contains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz, Uniform
from mtf_synthesizer.attention.stretched import Interpolate, LearnedTile
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    FixedRandom,
    Mixture,
    QueryProjection,
    Random,
    Sum,
)

Weights = Mapping[str, np.ndarray]


def attention(
    function,
    weights: Weights,
    x: np.ndarray,
    heads: int,
    causal: bool,
    memory: np.ndarray | None = None,
) -> np.ndarray:
    """Y = softmax(S(X)) G(X), heads joined and projected, for one sequence.

    Args:
      function: the synthesizing function, whose class and numbers are read.
      weights: the layer's variables by name, heads first where there are heads.
      x: [length, d_model].
      heads: number of heads.
      causal: whether a query sees no later key.
      memory: [memory_length, d_model], tokens of the keys and values; x unless given.

    Returns:
      [length, d_model].
    """
    length, width = x.shape
    memory = x if memory is None else memory
    scores = synthesize(function, weights, x, heads, _Scopes(), memory)
    v = weights["v"].reshape(width, heads, -1)
    o = weights["o"].reshape(heads, v.shape[2], width)
    y = np.zeros((length, width))
    for h in range(heads):
        for i in range(length):
            keys = range(i + 1) if causal else range(len(memory))
            e = {j: np.exp(scores[h, i, j] - max(scores[h, i, k] for k in keys)) for j in keys}
            mixed = sum(e[j] / sum(e.values()) * (memory[j] @ v[:, h]) for j in keys)
            y[i] += mixed @ o[h]
    return y


def synthesize(
    function, weights: Weights, x: np.ndarray, heads: int, scopes, memory: np.ndarray | None = None
) -> np.ndarray:
    """S[h, i, j] of one sequence that starts at position 0."""
    memory = x if memory is None else memory
    return _LOGITS[type(function)](function, weights, (x, memory), heads, scopes)


class _Scopes:
    """Scopes of functions in the order they are used: random, random_1, ..."""

    def __init__(self):
        self._used = {}

    def __call__(self, name: str) -> str:
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        return f"{name}_{count}" if count else name


def _fill(tokens, heads: int, value) -> np.ndarray:
    queries, keys = map(len, tokens)
    s = np.zeros((heads, queries, keys))
    for h in range(heads):
        for i in range(queries):
            for j in range(keys):
                s[h, i, j] = value(h, i, j)
    return s


def _dot_product(function, weights, tokens, heads, scopes):
    x, memory = tokens
    scope = scopes("dot_product")
    prefix = "" if scope == "dot_product" else f"{scope}/"
    q = weights[f"{prefix}q"].reshape(x.shape[1], heads, -1)
    k = weights[f"{prefix}k"].reshape(x.shape[1], heads, -1)
    return _fill(tokens, heads, lambda h, i, j: (x[i] @ q[:, h]) @ (memory[j] @ k[:, h]))


def _rows(function, weights, scope, p, dim):
    """How much of each row of a function's table a position p takes along a dimension."""
    n, policy = function.max_length, function.beyond_max_length
    if isinstance(policy, LearnedTile):
        return weights[f"{scope}/tile_{dim}"][p]
    shares = np.zeros(n)
    if isinstance(policy, Interpolate):
        place = p * (n - 1) / (policy.length - 1)
        below = int(place)
        shares[below] = 1 - (place - below)
        if place > below:
            shares[below + 1] = place - below
    else:
        shares[p % n] = 1
    return shares


def _random(function, weights, tokens, heads, scopes):
    scope = scopes(function.scope)
    n = function.max_length
    table = weights[f"{scope}/table"].reshape(heads, n, n)

    def value(h, i, j):
        rows = _rows(function, weights, scope, i, "query_position")
        return rows @ table[h] @ _rows(function, weights, scope, j, "key_position")

    return _fill(tokens, heads, value)


def _banded_random(function, weights, tokens, heads, scopes):
    scope, w = scopes("banded_random"), function.width
    table = weights[f"{scope}/table"].reshape(heads, function.max_length, 2 * w + 1)

    def value(h, i, j):
        if abs(j - i) > w:
            return -1e9
        return _rows(function, weights, scope, i, "query_position") @ table[h][:, j - i + w]

    return _fill(tokens, heads, value)


def _factorized_random(function, weights, tokens, heads, scopes):
    scope = scopes("factorized_random")
    n = function.max_length
    r1 = weights[f"{scope}/r1"].reshape(heads, n, function.rank)
    r2 = weights[f"{scope}/r2"].reshape(heads, n, function.rank)

    def value(h, i, j):
        query = _rows(function, weights, scope, i, "query_position") @ r1[h]
        key = _rows(function, weights, scope, j, "key_position") @ r2[h]
        return sum(query[k] * key[k] for k in range(function.rank))

    return _fill(tokens, heads, value)


def _hidden(function, weights, scope, x, heads, h, i):
    name = "q" if isinstance(function.hidden, QueryProjection) else f"{scope}/w1"
    w1 = weights[name].reshape(x.shape[1], heads, -1)
    return np.maximum(x[i] @ w1[:, h], 0)


def _dense(function, weights, tokens, heads, scopes):
    scope = scopes("dense")
    w2 = weights[f"{scope}/w2"]
    w2 = np.stack([w2] * heads) if function.shared_heads else w2.reshape(heads, -1, w2.shape[-1])

    def value(h, i, j):
        row = _hidden(function, weights, scope, tokens[0], heads, h, i) @ w2[h]
        return row @ _rows(function, weights, scope, j, "key_position")

    return _fill(tokens, heads, value)


def _factorized_dense(function, weights, tokens, heads, scopes):
    scope = scopes("factorized_dense")
    wa, wb = (weights[f"{scope}/{name}"] for name in ("wa", "wb"))
    wa, wb = (w.reshape(heads, -1, w.shape[-1]) for w in (wa, wb))
    a, n = wa.shape[2], function.max_length

    def value(h, i, j):
        hidden = _hidden(function, weights, scope, tokens[0], heads, h, i)
        row = [(hidden @ wa[h][:, p % a]) * (hidden @ wb[h][:, p // a]) for p in range(n)]
        return row @ _rows(function, weights, scope, j, "key_position")

    return _fill(tokens, heads, value)


def _toeplitz(function, weights, tokens, heads, scopes):
    table = weights[f"{scopes('toeplitz')}/table"].reshape(heads, -1)
    far = function.max_length - 1
    return _fill(tokens, heads, lambda h, i, j: table[h, far + min(max(i - j, -far), far)])


def _uniform(function, weights, tokens, heads, scopes):
    return np.zeros((heads, *map(len, tokens)))


def _mixture(function, weights, tokens, heads, scopes):
    a = weights[f"{scopes('mixture')}/alpha"].reshape(heads, -1)
    alpha = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    terms = [_LOGITS[type(f)](f, weights, tokens, heads, scopes) for f in function.functions]
    return sum(alpha[:, n, None, None] * term for n, term in enumerate(terms))


def _sum(function, weights, tokens, heads, scopes):
    return sum(_LOGITS[type(f)](f, weights, tokens, heads, scopes) for f in function.functions)


_LOGITS = {
    DotProduct: _dot_product,
    Random: _random,
    FixedRandom: _random,
    BandedRandom: _banded_random,
    FactorizedRandom: _factorized_random,
    Dense: _dense,
    FactorizedDense: _factorized_dense,
    Toeplitz: _toeplitz,
    Uniform: _uniform,
    Mixture: _mixture,
    Sum: _sum,
}
