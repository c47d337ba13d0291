"""Synthetic attention in NumPy, from the paper's equations, with loops over h, i and j.

Slow, in float64, one sequence at a time, and made of nothing that the package contains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtf_synthesizer.attention.controls import Toeplitz, Uniform
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


def attention(function, weights: Weights, x: np.ndarray, heads: int, causal: bool) -> np.ndarray:
    """Y = softmax(S(X)) G(X), heads joined and projected, for one sequence.

    Args:
      function: the synthesizing function, whose class and numbers are read.
      weights: the layer's variables by name, heads first where there are heads.
      x: [length, d_model].
      heads: number of heads.
      causal: whether a query sees no later key.

    Returns:
      [length, d_model].
    """
    length, width = x.shape
    scores = synthesize(function, weights, x, heads, _Scopes())
    v = weights["v"].reshape(width, heads, -1)
    o = weights["o"].reshape(heads, v.shape[2], width)
    y = np.zeros((length, width))
    for h in range(heads):
        for i in range(length):
            keys = range(i + 1) if causal else range(length)
            e = {j: np.exp(scores[h, i, j] - max(scores[h, i, k] for k in keys)) for j in keys}
            mixed = sum(e[j] / sum(e.values()) * (x[j] @ v[:, h]) for j in keys)
            y[i] += mixed @ o[h]
    return y


def synthesize(function, weights: Weights, x: np.ndarray, heads: int, scopes) -> np.ndarray:
    """S[h, i, j] of one sequence that starts at position 0."""
    return _LOGITS[type(function)](function, weights, x, heads, scopes)


class _Scopes:
    """Scopes of functions in the order they are used: random, random_1, ..."""

    def __init__(self):
        self._used = {}

    def __call__(self, name: str) -> str:
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        return f"{name}_{count}" if count else name


def _fill(length: int, heads: int, value) -> np.ndarray:
    s = np.zeros((heads, length, length))
    for h in range(heads):
        for i in range(length):
            for j in range(length):
                s[h, i, j] = value(h, i, j)
    return s


def _dot_product(function, weights, x, heads, scopes):
    scope = scopes("dot_product")
    prefix = "" if scope == "dot_product" else f"{scope}/"
    q = weights[f"{prefix}q"].reshape(x.shape[1], heads, -1)
    k = weights[f"{prefix}k"].reshape(x.shape[1], heads, -1)
    return _fill(len(x), heads, lambda h, i, j: (x[i] @ q[:, h]) @ (x[j] @ k[:, h]))


def _random(function, weights, x, heads, scopes):
    table = weights[f"{scopes(function.scope)}/table"].reshape(heads, function.max_length, -1)
    n = function.max_length
    return _fill(len(x), heads, lambda h, i, j: table[h, i % n, j % n])


def _factorized_random(function, weights, x, heads, scopes):
    scope = scopes("factorized_random")
    n = function.max_length
    r1 = weights[f"{scope}/r1"].reshape(heads, n, function.rank)
    r2 = weights[f"{scope}/r2"].reshape(heads, n, function.rank)
    return _fill(
        len(x),
        heads,
        lambda h, i, j: sum(r1[h, i % n, k] * r2[h, j % n, k] for k in range(function.rank)),
    )


def _hidden(function, weights, scope, x, heads, h, i):
    name = "q" if isinstance(function.hidden, QueryProjection) else f"{scope}/w1"
    w1 = weights[name].reshape(x.shape[1], heads, -1)
    return np.maximum(x[i] @ w1[:, h], 0)


def _dense(function, weights, x, heads, scopes):
    scope = scopes("dense")
    w2 = weights[f"{scope}/w2"]
    w2 = np.stack([w2] * heads) if function.shared_heads else w2.reshape(heads, -1, w2.shape[-1])

    def value(h, i, j):
        return _hidden(function, weights, scope, x, heads, h, i) @ w2[h][:, j % w2.shape[2]]

    return _fill(len(x), heads, value)


def _factorized_dense(function, weights, x, heads, scopes):
    scope = scopes("factorized_dense")
    wa, wb = (weights[f"{scope}/{name}"] for name in ("wa", "wb"))
    wa, wb = (w.reshape(heads, -1, w.shape[-1]) for w in (wa, wb))
    a = wa.shape[2]
    n = a * wb.shape[2]

    def value(h, i, j):
        hidden = _hidden(function, weights, scope, x, heads, h, i)
        p = j % n
        return (hidden @ wa[h][:, p % a]) * (hidden @ wb[h][:, p // a])

    return _fill(len(x), heads, value)


def _toeplitz(function, weights, x, heads, scopes):
    table = weights[f"{scopes('toeplitz')}/table"].reshape(heads, -1)
    far = function.max_length - 1
    return _fill(len(x), heads, lambda h, i, j: table[h, far + min(max(i - j, -far), far)])


def _uniform(function, weights, x, heads, scopes):
    return np.zeros((heads, len(x), len(x)))


def _mixture(function, weights, x, heads, scopes):
    a = weights[f"{scopes('mixture')}/alpha"].reshape(heads, -1)
    alpha = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    terms = [synthesize(f, weights, x, heads, scopes) for f in function.functions]
    return sum(alpha[:, n, None, None] * term for n, term in enumerate(terms))


def _sum(function, weights, x, heads, scopes):
    return sum(synthesize(f, weights, x, heads, scopes) for f in function.functions)


_LOGITS = {
    DotProduct: _dot_product,
    Random: _random,
    FixedRandom: _random,
    FactorizedRandom: _factorized_random,
    Dense: _dense,
    FactorizedDense: _factorized_dense,
    Toeplitz: _toeplitz,
    Uniform: _uniform,
    Mixture: _mixture,
    Sum: _sum,
}
