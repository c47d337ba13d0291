"""Functions fitted to attention: exact where they can be, and the divergence by plain loops."""

import math

import numpy as np
import pytest
import scipy.special

from mtf_synthesizer import errors
from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz, Uniform
from mtf_synthesizer.attention.synthesizers import Dense, FactorizedRandom, Random
from mtf_synthesizer.training.warm_start import fitting

HEADS, LENGTH, N = 2, 7, 11
DRAW = np.random.RandomState(0)
SIZES = np.array([[7, 7], [5, 5], [7, 7], [3, 3]])
CAUSAL = [False, True]


def attention_of(logits, causal):
    """softmax of the same logits for all examples over each example's visible keys."""
    shown = fitting.visible(SIZES, (LENGTH, LENGTH), causal)[:, None]
    logits = np.where(shown, logits, -1e30)
    return scipy.special.softmax(logits, axis=-1) * shown


def fitted(function, weights, causal):
    return fitting.by_position(function, fitting.summed(weights, SIZES, causal))


def divergence(weights, logits, causal):
    """Mean over queries of sum_j w log(w / softmax(logits)), for each head, in loops."""
    total, queries = np.zeros(HEADS), SIZES[:, 0].sum()
    for example, (size, _) in enumerate(SIZES):
        for h in range(HEADS):
            for i in range(size):
                keys = range(i + 1) if causal else range(size)
                norm = math.log(sum(math.exp(logits[h, i, j]) for j in keys))
                for j in keys:
                    w = weights[example, h, i, j]
                    total[h] += w * (math.log(w) - logits[h, i, j] + norm) if w > 0 else 0
    return total / queries


@pytest.mark.parametrize("causal", CAUSAL)
def test_attention_of_positions_alone_is_found_again(causal):
    """A table from a whole table; rows of short examples are renormalized over their keys."""
    whole = np.array([[LENGTH, LENGTH]] * 4)
    logits = DRAW.normal(size=(HEADS, LENGTH, LENGTH))
    shown = fitting.visible(whole, (LENGTH, LENGTH), causal)[:, None]
    weights = scipy.special.softmax(np.where(shown, logits, -1e30), axis=-1)
    summed = fitting.summed(weights, whole, causal)
    assert np.abs(fitting.by_position(Random(N), summed)[1]).max() < 1e-6


@pytest.mark.parametrize("causal", CAUSAL)
def test_toeplitz_attention_is_found_again(causal):
    """Also where an example's padding takes its share: a diagonal keeps its place among others."""
    t = DRAW.normal(size=(HEADS, 2 * LENGTH - 1))
    behind = np.arange(LENGTH)[:, None] - np.arange(LENGTH) + LENGTH - 1
    found, far = fitted(Toeplitz(N), attention_of(t[:, behind], causal), causal)
    assert found["table"].shape == (HEADS, 2 * N - 1)
    assert far.max() < 0.15


@pytest.mark.parametrize("causal", CAUSAL)
@pytest.mark.parametrize(
    "function",
    [Random(N), FactorizedRandom(N, rank=2), Toeplitz(N)],
    ids=lambda function: function.scope,
)
def test_the_divergence_is_that_of_loops(function, causal):
    weights = attention_of(DRAW.normal(size=(len(SIZES), HEADS, LENGTH, LENGTH)), causal)
    variables, far = fitted(function, weights, causal)
    behind = np.arange(LENGTH)[:, None] - np.arange(LENGTH)
    if "r1" in variables:
        logits = np.einsum("hik,hjk->hij", variables["r1"], variables["r2"])
    elif isinstance(function, Random):
        logits = variables["table"]
    else:
        logits = variables["table"][:, behind + N - 1]
    np.testing.assert_allclose(far, divergence(weights, logits, causal), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("causal", CAUSAL)
def test_a_band_has_the_entries_of_the_table(causal):
    weights = attention_of(DRAW.normal(size=(HEADS, LENGTH, LENGTH)), causal)
    band, far = fitted(BandedRandom(N, 2), weights, causal)
    table = fitted(Random(N), weights, causal)[0]["table"]
    for i in range(N):
        for j in range(max(i - 2, 0), min(i + 3, N)):
            np.testing.assert_array_equal(band["table"][:, i, j - i + 2], table[:, i, j])
    assert np.all(far > 1e6)  # what lies beyond the band has no attention


def test_more_rank_is_nearer():
    weights = attention_of(3 * DRAW.normal(size=(HEADS, LENGTH, LENGTH)), False)
    far = [fitted(FactorizedRandom(LENGTH, rank=r), weights, False)[1].max() for r in (1, 3, 7)]
    table = fitted(Random(LENGTH), weights, False)[1].max()
    assert far[0] > far[1] > far[2]
    np.testing.assert_allclose(far[2], table, atol=1e-6)


@pytest.mark.parametrize("causal", CAUSAL)
def test_dense_attention_is_found_again(causal):
    """With the W1 that is drawn, W2 by least squares gives the attention of W2 relu(W1 x)."""
    shape = (5, HEADS, 3)
    x = DRAW.normal(size=(40, LENGTH, 5))
    bias = DRAW.normal(size=(HEADS, LENGTH, LENGTH))
    fit = fitting.DenseFit(Dense(N), shape, seed=3)
    w2 = DRAW.normal(size=(HEADS, 3, LENGTH))
    hidden = np.maximum(np.einsum("bld,dhk->bhlk", x, fit.w1), 0)
    shown = fitting.visible(np.array([[LENGTH, LENGTH]] * 40), (LENGTH, LENGTH), causal)
    logits = np.where(shown[:, None], hidden @ w2 + bias, -1e30)
    weights = scipy.special.softmax(logits, axis=-1)
    fit.add(weights, x, bias, shown)
    fit.solve()
    assert fit.variables["w2"].shape == (HEADS, 3, N)
    fit.compare(weights, x, bias, shown)
    uniform = fitting.DenseFit(Dense(N), shape, seed=3)
    uniform.compare(weights, x, bias, shown)
    limit = 0.2 if causal else 0.01  # rows with few keys are centred on other means
    assert np.all(fit.divergence < limit * uniform.divergence)


def test_other_functions_are_refused():
    with pytest.raises(errors.UserError, match="encoder/x has Uniform, which can't be fitted"):
        fitting.check("encoder/x", Uniform())
    with pytest.raises(errors.UserError, match="Dense"):
        fitting.check("encoder/x", Dense(N, shared_heads=True))
