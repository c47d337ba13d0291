"""The seven fixed heads of Raganato et al. 2020, and the eighth with a dot product."""

import numpy as np
import pytest
from baseline_layers import BATCH, TOKENS, X, layer
from baseline_reference import fixed_patterns
from harness import D_KV, D_MODEL, call_layer, constant, unpacked_ids, weights_of

from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.baselines.raganato import FixedPatterns

# Of five tokens, the weights of the third one's keys.
BY_HAND = [
    [0, 0, 1, 0, 0],
    [0, 1, 0, 0, 0],
    [0, 0, 0, 1, 0],
    [1, 0, 0, 0, 0],
    [0, 0, 0, 0, 1],
    np.array([1, 8, 27, 64, 125]) / 225,
    np.array([125, 64, 27, 8, 1]) / 225,
]


def weights_of_head(head, length, **options):
    """[length, length]: rows of ones at their own place, through projections that copy a head."""
    x = np.tile(np.eye(length, D_MODEL), [1, 1, 1])
    v, o = np.zeros((D_MODEL, 8, D_MODEL)), np.zeros((8, D_MODEL, D_MODEL))
    v[:, head], o[head] = np.eye(D_MODEL), np.eye(D_MODEL)
    patterns = layer("raganato", key_value_size=D_MODEL)
    return call_layer(patterns, x, weights={"v": v, "o": o}, **options)["y"][0, :, :length]


@pytest.mark.parametrize("head", range(7))
def test_patterns_worked_out_by_hand(head):
    found = weights_of_head(head, 5)
    np.testing.assert_allclose(found[2], BY_HAND[head], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_larger_contexts_worked_out_by_hand():
    """Of the last of five tokens and of the first one: 1, 8, 27 towards the token."""
    near = np.array([1, 8, 27]) / 36
    np.testing.assert_allclose(weights_of_head(3, 5)[4], [*near, 0, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights_of_head(4, 5)[0], [0, 0, *near[::-1]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("head", "queries"), [(1, [0]), (2, [4]), (3, [0, 1]), (4, [3, 4])])
def test_a_query_without_a_key_sees_itself(head, queries):
    found = weights_of_head(head, 5)
    np.testing.assert_allclose(found[queries], np.eye(5)[queries], atol=1e-6)


@pytest.mark.parametrize("head", range(7))
def test_the_end_is_that_of_the_sequence(head):
    """Of seven tokens and padding, and of seven packed with others."""
    whole = weights_of_head(head, 7)
    tokens = np.array([[1] * 7 + [0] * 4])
    padded = weights_of_head(head, 11, sequence_id=lambda mesh: unpacked_ids(mesh, tokens))
    np.testing.assert_allclose(padded[:7, :7], whole, rtol=1e-5, atol=1e-6)
    ids = np.repeat([1, 2], (4, 7))[None]
    packed = weights_of_head(
        head, 11, sequence_id=lambda mesh: constant(mesh, ids, ["batch", "length"])
    )
    np.testing.assert_allclose(packed[4:, 4:], whole, rtol=1e-5, atol=1e-6)


def test_the_layer_with_its_learned_head():
    result = call_layer(layer("raganato"), X)
    weights = weights_of(result)
    assert weights["fixed_patterns/q"].shape == weights["fixed_patterns/k"].shape == (D_MODEL, D_KV)
    assert set(weights) == {"fixed_patterns/q", "fixed_patterns/k", "v", "o"}
    for row in range(BATCH):
        wanted = fixed_patterns(weights, X[row])
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-4)


def test_decoders_and_other_numbers_of_heads_are_refused():
    with pytest.raises(ValueError, match=r"FixedPatterns is for encoders: .*ends in _encoder"):
        call_layer(layer("raganato"), X, autoregressive=True)
    for heads in ({"num_heads": 7}, {"num_heads": 8, "num_memory_heads": 2}, {"num_heads": 1}):
        with pytest.raises(ValueError, match=r"SyntheticAttention\.num_heads = 8"):
            call_layer(SyntheticAttention(FixedPatterns(), **heads), X[:, : len(TOKENS[0])])
