"""Fits trained to match: gradients by finite differences, and divergences that fall."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz
from mtf_synthesizer.attention.synthesizers import Dense, FactorizedRandom, Random
from mtf_synthesizer.training.warm_start import fitting, matching

HEADS, LENGTH, N, WIDTH, KV = 2, 7, 9, 5, 3
SIZES = np.array([[7, 7], [5, 5], [7, 7], [3, 3]])
FUNCTIONS = [Random(N), FactorizedRandom(N, rank=2), Toeplitz(N), BandedRandom(N, 2)]
CAUSAL = [False, True]


def drawn_attention(seed, causal, width=LENGTH):
    """Attention of its own for each example and head, to keys at most `width` away."""
    logits = np.random.RandomState(seed).normal(size=(len(SIZES), HEADS, LENGTH, LENGTH))
    shown = fitting.visible(SIZES, (LENGTH, LENGTH), causal)[:, None]
    shown = shown & (np.abs(fitting.behind(LENGTH, LENGTH)) <= width)
    return scipy.special.softmax(np.where(shown, 2 * logits, -1e30), axis=-1) * shown


@pytest.mark.parametrize("causal", CAUSAL)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.scope)
def test_gradients_of_functions_of_positions(function, causal):
    width = getattr(function, "width", LENGTH)
    attention = fitting.summed(drawn_attention(0, causal, width), SIZES, causal)
    draw = np.random.RandomState(8)
    variables = {
        name: value + draw.normal(size=value.shape)
        for name, value in fitting.by_position(function, attention)[0].items()
    }

    def compared(name, flat):
        values = variables | {name: flat.reshape(variables[name].shape)}
        logits = fitting.logits(function, values, (LENGTH, LENGTH))
        divergence, to_logits = fitting.compared(logits, attention)
        gradients = matching._GRADIENTS[type(function)](function, values, to_logits)
        return divergence.sum(), gradients[name].ravel()

    for name, value in variables.items():
        numeric = scipy.optimize.approx_fprime(
            value.ravel(), lambda flat, name=name: compared(name, flat)[0], 1e-6
        )
        exact = compared(name, value.ravel())[1]
        np.testing.assert_allclose(exact, numeric, atol=1e-5)
        assert np.abs(exact).max() > 1e-2


@pytest.mark.parametrize("causal", CAUSAL)
@pytest.mark.parametrize("function", FUNCTIONS[:3], ids=lambda function: function.scope)
def test_no_table_near_the_trained_one_is_better(function, causal):
    attention = fitting.summed(drawn_attention(1, causal), SIZES, causal)
    variables, before = fitting.by_position(function, attention)
    trained, after = matching.by_position(function, variables, attention, 300)
    assert np.all(after <= before)
    if not (causal and isinstance(function, Random)):  # there the fit is exact
        assert np.all(after < 0.999 * before)
    draw = np.random.RandomState(2)
    for _ in range(20):
        other = {name: v + 0.03 * draw.normal(size=v.shape) for name, v in trained.items()}
        logits = fitting.logits(function, other, (LENGTH, LENGTH))
        assert fitting.compared(logits, attention)[0].sum() > after.sum()


@pytest.mark.parametrize("causal", CAUSAL)
def test_toeplitz_attention_is_found_again(causal):
    """Also of short examples, whose padding makes the means along diagonals others."""
    t = np.random.RandomState(3).normal(size=(HEADS, 2 * LENGTH - 1))
    shown = fitting.visible(SIZES, (LENGTH, LENGTH), causal)[:, None]
    logits = t[:, fitting.behind(LENGTH, LENGTH) + LENGTH - 1]
    weights = scipy.special.softmax(np.where(shown, logits, -1e30), axis=-1) * shown
    attention = fitting.summed(weights, SIZES, causal)
    variables, before = fitting.by_position(Toeplitz(N), attention)
    _, after = matching.by_position(Toeplitz(N), variables, attention, 300)
    assert before.max() > 1e-3 and after.max() < 1e-6


def dense_examples(seed):
    """Attention that no D has, with its inputs, a bias and the visible pairs."""
    draw = np.random.RandomState(seed)
    shown = fitting.visible(SIZES, (LENGTH, LENGTH), True)
    bias = draw.normal(size=(HEADS, LENGTH, LENGTH))
    return drawn_attention(seed, True), draw.normal(size=(len(SIZES), LENGTH, WIDTH)), bias, shown


def divergence_of(fit, examples):
    fit = fit.restarted()
    fit.compare(*examples)
    return fit.divergence


def test_gradients_of_d():
    examples = dense_examples(4)
    fit = fitting.DenseFit(Dense(N), (WIDTH, HEADS, KV), seed=5)
    fit.add(*examples)
    fit.solve()
    exact = matching.DenseMatching(fit)._gradients(*examples)
    for name, gradient in zip(("w1", "w2"), exact, strict=True):
        value = getattr(fit, name)

        def loss(flat, name=name, value=value):
            moved = fit.restarted()
            setattr(moved, name, flat.reshape(value.shape))
            return divergence_of(moved, examples).sum()

        numeric = scipy.optimize.approx_fprime(value.ravel(), loss, 1e-6)
        np.testing.assert_allclose(gradient.ravel(), numeric, atol=1e-5)
        assert np.abs(gradient).max() > 1e-3


def test_d_comes_nearer_and_the_fit_stays_as_it_was():
    examples = dense_examples(6)
    fit = fitting.DenseFit(Dense(N), (WIDTH, HEADS, KV), seed=7)
    fit.add(*examples)
    fit.solve()
    fit.compare(*examples)
    kept = fit.w1.copy(), fit.w2.copy(), fit.divergence.copy()
    match = matching.DenseMatching(fit)
    for _ in range(100):
        match.step(*examples)
    assert np.all(divergence_of(match.fit, examples) < fit.divergence)
    for before, after in zip(kept, (fit.w1, fit.w2, fit.divergence), strict=True):
        np.testing.assert_array_equal(before, after)
