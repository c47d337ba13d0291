"""Every synthesizing function against NumPy loops written from the paper, values and gradients."""

import numpy as np
import pytest
import reference
from harness import D_KV, D_MODEL, HEADS, call_layer, weights_of
from variants import LEARNED, TILED, VARIANTS

from mtf_synthesizer.attention import banded, controls, synthesizers
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention

BATCH, LENGTH = 2, 7
X = np.random.RandomState(0).normal(size=(BATCH, LENGTH, D_MODEL))
COTANGENT = np.random.RandomState(1).normal(size=X.shape)


def layer(function, heads=HEADS):
    return SyntheticAttention(function, num_heads=heads, key_value_size=D_KV)


def expected(function, weights, heads, causal):
    return np.stack([reference.attention(function, weights, x, heads, causal) for x in X])


def test_all_functions_are_tested():
    leaves = {
        c
        for module in (synthesizers, controls, banded)
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, SynthesizingFunction)
    } - {SynthesizingFunction}
    assert leaves == {type(make()) for make in VARIANTS.values()}


@pytest.mark.parametrize("name", VARIANTS)
def test_values_in_an_encoder(name):
    function = VARIANTS[name]()
    result = call_layer(layer(function), X)
    wanted = expected(function, weights_of(result), HEADS, False)
    np.testing.assert_allclose(result["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_values_and_gradients_in_a_decoder(name):
    """The derivative in a random direction, against a difference of the reference's values."""
    function = VARIANTS[name]()
    result = call_layer(layer(function), X, autoregressive=True, cotangent=COTANGENT)
    wanted = expected(function, weights_of(result), HEADS, True)
    np.testing.assert_allclose(result["y"], wanted, rtol=1e-4, atol=1e-5)
    weights = {k: v.astype(np.float64) for k, v in weights_of(result).items()}
    draw = np.random.RandomState(2)
    for variable in weights:
        if f"grad/{variable}" not in result:
            assert "fixed_random" in variable
            continue
        direction = draw.normal(size=weights[variable].shape)
        values = []
        for sign in (-1, 1):
            moved = {**weights, variable: weights[variable] + sign * 1e-5 * direction}
            values.append(np.sum(expected(function, moved, HEADS, True) * COTANGENT))
        wanted = (values[1] - values[0]) / 2e-5
        got = np.sum(result[f"grad/{variable}"] * direction)
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-3, err_msg=variable)


@pytest.mark.parametrize("name", VARIANTS)
def test_one_head(name):
    function = VARIANTS[name]()
    result = call_layer(layer(function, heads=1), X, autoregressive=True)
    wanted = expected(function, weights_of(result), 1, True)
    np.testing.assert_allclose(result["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TILED | LEARNED)
def test_tables_shorter_than_rows(name):
    function = (TILED | LEARNED)[name]()
    result = call_layer(layer(function), X)
    wanted = expected(function, weights_of(result), HEADS, False)
    np.testing.assert_allclose(result["y"], wanted, rtol=1e-4, atol=1e-5)


def test_queries_of_factorized_random_differ():
    """A factorized table of rank 1 over keys alone would give all queries the same logits."""
    function = VARIANTS["fr"]()
    result = call_layer(layer(function), X)
    logits = reference.synthesize(function, weights_of(result), X[0], HEADS, lambda name: name)
    assert np.ptp(logits, axis=1).max() > 0.1
    assert max(np.linalg.matrix_rank(head, tol=1e-4) for head in logits) == function.rank


def test_rows_of_factorized_dense_have_distinct_values():
    function = VARIANTS["fd"]()
    result = call_layer(layer(function), X)
    logits = reference.synthesize(function, weights_of(result), X[0], HEADS, lambda name: name)
    nonzero = logits[np.abs(logits).max(axis=-1) > 0]
    assert all(len(np.unique(np.round(row, 9))) == LENGTH for row in nonzero if np.all(row))
