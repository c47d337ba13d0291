"""Fitted functions trained to match a layer's attention, each layer by itself, in NumPy.

What is minimized is the divergence that a fit reports: the mean Kullback-Leibler divergence of the
function's attention from the other model's, over the queries of all examples. For R the fit is
close to its minimum. A truncated singular value decomposition (FR), means along diagonals
(Toeplitz) and least squares of logarithms (D) minimize something else, so training improves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import scipy.optimize
import scipy.special

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.synthesizers import FactorizedRandom, Random
from mtf_synthesizer.training.warm_start import fitting
from mtf_synthesizer.training.warm_start.fitting import AttentionSums, DenseFit, Variables

_RATE = 1e-3  # of Adam, as its paper proposes
_DECAYS = (0.9, 0.999)  # of its moments


def by_position(
    function: SynthesizingFunction, variables: Variables, attention: AttentionSums, passes: int
) -> tuple[Variables, np.ndarray]:
    """Train the variables of a function of positions by L-BFGS, on all examples in each step.

    Args:
      function: the function.
      variables: variables of the fitted function.
      attention: attention of the other model.
      passes: largest number of steps.

    Returns:
      The trained variables, and the mean divergence for each head, whose sum never grows.
    """
    shapes = {name: array.shape for name, array in variables.items()}
    ends = np.cumsum([array.size for array in variables.values()])[:-1]
    lengths = attention.total.shape[1:]

    def arrays(flat: np.ndarray) -> Variables:
        parts = zip(shapes.items(), np.split(flat, ends), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        values = arrays(flat)
        compared = fitting.compared(fitting.logits(function, values, lengths), attention)
        divergence, to_logits = compared
        gradients = _GRADIENTS[type(function)](function, values, to_logits)
        return divergence.sum(), np.concatenate([gradients[name].ravel() for name in shapes])

    start = np.concatenate([array.ravel() for array in variables.values()])
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": passes}
    )
    trained = arrays(found.x)
    return trained, fitting.compared(fitting.logits(function, trained, lengths), attention)[0]


def _of_random(function: Random, variables: Variables, to_logits: np.ndarray) -> Variables:
    _, queries, keys = to_logits.shape
    table = np.zeros_like(variables["table"])
    table[:, :queries, :keys] = to_logits
    return {"table": table}


def _of_factors(
    function: FactorizedRandom, variables: Variables, to_logits: np.ndarray
) -> Variables:
    _, queries, keys = to_logits.shape
    r1, r2 = np.zeros_like(variables["r1"]), np.zeros_like(variables["r2"])
    r1[:, :queries] = to_logits @ variables["r2"][:, :keys]
    r2[:, :keys] = np.swapaxes(to_logits, 1, 2) @ variables["r1"][:, :queries]
    return {"r1": r1, "r2": r2}


def _of_diagonals(function: Toeplitz, variables: Variables, to_logits: np.ndarray) -> Variables:
    table = np.zeros_like(variables["table"])
    index = fitting.behind(*to_logits.shape[1:]) + function.max_length - 1
    for head, grad in enumerate(to_logits):
        np.add.at(table[head], index, grad)
    return {"table": table}


def _of_band(function: BandedRandom, variables: Variables, to_logits: np.ndarray) -> Variables:
    table = np.zeros_like(variables["table"])
    offset = -fitting.behind(*to_logits.shape[1:])
    query, key = np.nonzero(np.abs(offset) <= function.width)
    table[:, query, offset[query, key] + function.width] = to_logits[:, query, key]
    return {"table": table}


_GRADIENTS: Mapping[type[SynthesizingFunction], Callable[..., Variables]] = {
    Random: _of_random,
    FactorizedRandom: _of_factors,
    Toeplitz: _of_diagonals,
    BandedRandom: _of_band,
}


class DenseMatching:
    """Training of a fitted D by Adam (Kingma and Ba 2014, algorithm 1), a batch at a time.

    Args:
      fit: a solved fit.

    Attributes:
      fit: the trained D, which has compared no examples yet.
    """

    def __init__(self, fit: DenseFit):
        self.fit = fit.restarted()
        self._moments = [[np.zeros_like(w), np.zeros_like(w)] for w in (fit.w1, fit.w2)]
        self._steps = 0

    def step(self, weights: np.ndarray, x: np.ndarray, bias: np.ndarray, shown: np.ndarray) -> None:
        """Take a step on examples: their attention, layer inputs, relative bias, visible pairs."""
        self._steps += 1
        gradients = self._gradients(weights, x, bias, shown)
        for value, gradient, moments in zip(
            (self.fit.w1, self.fit.w2), gradients, self._moments, strict=True
        ):
            powers = (gradient, gradient**2)
            for moment, power, decay in zip(moments, powers, _DECAYS, strict=True):
                moment *= decay
                moment += (1 - decay) * power
            mean, square = (
                moment / (1 - decay**self._steps)
                for moment, decay in zip(moments, _DECAYS, strict=True)
            )
            value -= _RATE * mean / (np.sqrt(square) + 1e-8)

    def _gradients(
        self, weights: np.ndarray, x: np.ndarray, bias: np.ndarray, shown: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradients of the mean divergence to W1 and W2."""
        keys, seen = weights.shape[3], shown[:, None]
        hidden = self.fit.hidden(x)
        logits = np.where(seen, hidden @ self.fit.w2[:, :, :keys] + bias, -np.inf)
        real = seen.any(-1, keepdims=True)
        attention = scipy.special.softmax(np.where(real, logits, 0.0), axis=-1)
        to_logits = np.where(seen, attention - weights, 0.0) / max(int(real.sum()), 1)
        to_w2 = np.zeros_like(self.fit.w2)
        to_w2[:, :, :keys] = np.einsum("bhlk,bhlm->hkm", hidden, to_logits)
        to_hidden = np.einsum("bhlm,hkm->bhlk", to_logits, self.fit.w2[:, :, :keys])
        to_w1 = np.einsum("bld,bhlk->dhk", x, np.where(hidden > 0, to_hidden, 0.0))
        return to_w1, to_w2
