"""The baselines in NumPy, from their papers' equations, with loops.

Slow, in float64, one sequence at a time, and made of nothing that the package contains.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]


def light_conv(weights: Weights, x: np.ndarray, heads: int, width: int, causal: bool):
    """Wu et al. 2019, Equations 3 and 4: one kernel of each head for all positions."""
    kernel = softmax(weights["kernel"].reshape(heads, width))
    return _convolution(weights, x, heads, causal, lambda i, gated: kernel)


def dynamic_conv(weights: Weights, x: np.ndarray, heads: int, width: int, causal: bool):
    """Wu et al. 2019, Section 4: kernels that are a linear function of the current position."""
    w = weights["kernel"]

    def kernel(i: int, gated: np.ndarray) -> np.ndarray:
        f = gated[i].reshape(-1) @ w.reshape(gated[i].size, heads * width)
        return softmax(f.reshape(heads, width))

    return _convolution(weights, x, heads, causal, kernel)


def _convolution(weights, x, heads, causal, kernel_of):
    length, width = x.shape
    v = weights["v"].reshape(width, heads, -1)
    gate = weights["gate"].reshape(width, heads, -1)
    o = weights["o"].reshape(heads, v.shape[2], width)
    values, gates = np.einsum("id,dhc->ihc", x, v), np.einsum("id,dhc->ihc", x, gate)
    gated = values / (1 + np.exp(-gates))
    y = np.zeros((length, width))
    for i in range(length):
        kernel = kernel_of(i, gated)
        size = kernel.shape[1]
        for h in range(heads):
            for j in range(size):
                # Equation 3 of the paper is centred: i + j - ceil((k + 1) / 2), j from 1.
                at = i + (j + 1) - (size if causal else -(-(size + 1) // 2))
                if size % 2 == 0 and not causal:
                    at += 1  # half the window and one more behind: (k - 1) // 2 before
                if 0 <= at < length:
                    y[i] += kernel[h, j] * gated[at, h] @ o[h]
    return y


def linformer(weights: Weights, x: np.ndarray, heads: int, rank: int):
    """Wang et al. 2020, Equation 7, without the factor 1/sqrt(d_k), as in T5."""
    length, width = x.shape
    q, k, v = (weights[name].reshape(width, heads, -1) for name in "qkv")
    o = weights["o"].reshape(heads, v.shape[2], width)
    e, f = (weights[f"linformer/{name}"] for name in "ef")
    if e.ndim == 2:
        e, f = np.stack([e] * heads), np.stack([f] * heads)
    y = np.zeros((length, width))
    for h in range(heads):
        keys, values = np.zeros((rank, k.shape[2])), np.zeros((rank, v.shape[2]))
        for r in range(rank):
            for j in range(length):
                keys[r] += e[h, j, r] * (x[j] @ k[:, h])
                values[r] += f[h, j, r] * (x[j] @ v[:, h])
        for i in range(length):
            p = softmax(np.array([(x[i] @ q[:, h]) @ keys[r] for r in range(rank)]))
            y[i] += sum(p[r] * values[r] for r in range(rank)) @ o[h]
    return y


def token_mixing(weights: Weights, x: np.ndarray, heads: int, causal: bool):
    """A linear map of the positions for each head, between the values and the output."""
    length, width = x.shape
    v = weights["v"].reshape(width, heads, -1)
    o = weights["o"].reshape(heads, v.shape[2], width)
    table = weights["token_mixing/table"]
    table = table.reshape(heads, *table.shape[-2:])
    y = np.zeros((length, width))
    for h in range(heads):
        for i in range(length):
            for j in range(i + 1 if causal else length):
                y[i] += table[h, i, j] * (x[j] @ v[:, h]) @ o[h]
    return y


def patterns(length: int) -> np.ndarray:
    """Raganato et al. 2020: the weights of the seven fixed heads, [7, query, key].

    The token, the one before, the one behind; (j + 1)^3 for j up to i - 2 and the same seen from
    the end; (j + 1)^3 for all j, and the same seen from the end.
    """
    weights = np.zeros((7, length, length))
    for i in range(length):
        weights[0, i, i] = 1
        if i > 0:
            weights[1, i, i - 1] = 1
        if i + 1 < length:
            weights[2, i, i + 1] = 1
        for j in range(length):
            if j <= i - 2:
                weights[3, i, j] = (j + 1) ** 3
            weights[5, i, j] = (j + 1) ** 3
    weights[4], weights[6] = weights[3, ::-1, ::-1], weights[5, ::-1, ::-1]
    for head in weights:
        for i in range(length):
            if not head[i].any():
                head[i, i] = 1
    return weights / weights.sum(axis=-1, keepdims=True)


def fixed_patterns(weights: Weights, x: np.ndarray):
    """Seven fixed heads, and a last one with a dot product."""
    length, width = x.shape
    v = weights["v"].reshape(width, 8, -1)
    o = weights["o"].reshape(8, v.shape[2], width)
    q, k = (x @ weights[f"fixed_patterns/{name}"] for name in "qk")
    mixing = [*patterns(length), softmax(q @ k.T)]
    return sum(mixing[h] @ (x @ v[:, h]) @ o[h] for h in range(8))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
