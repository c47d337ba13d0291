"""Incremental decoding gives what the full pass gives, and caches no more than it needs."""

import functools

import numpy as np
import pytest
from harness import (
    D_KV,
    D_MODEL,
    HEADS,
    feed_forward,
    unitransformer,
)
from stepwise import (
    END,
    assert_steps_are_the_full_pass,
    decoded,
    likeliest_by_beam,
    tokens_of,
)
from variants import LEARNED, TILED, VARIANTS, N

from mtf_synthesizer.attention.layer import SyntheticAttention

BATCH, LENGTH = 2, 7
PREFIX = np.array([3, 2])  # partial sequences of different lengths
X = np.random.RandomState(0).normal(size=(BATCH, LENGTH, D_MODEL)).astype(np.float32)
ALL = VARIANTS | {f"{name} tiled": make for name, make in TILED.items()} | LEARNED


def layer(make, **options):
    numbers = {"num_heads": HEADS, "key_value_size": D_KV, **options}
    return SyntheticAttention(make(), relative_attention_type="bias", **numbers)


def steps(make, **options):
    return decoded(lambda: layer(make, **options), X, PREFIX)


@functools.cache
def steps_of(name):
    return steps(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_steps_are_the_full_pass(name):
    assert_steps_are_the_full_pass(steps_of(name), PREFIX)


@pytest.mark.parametrize("name", ["r", "d", "fd", "rv"])
def test_steps_are_the_full_pass_with_fewer_memory_heads(name):
    for heads in ({"num_heads": 1}, {"num_memory_heads": 1}):
        result = steps(VARIANTS[name], **heads)
        wanted = result["full"][np.arange(BATCH), PREFIX]
        np.testing.assert_allclose(result["step 0"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tensors"), [("r", 1), ("d", 1), ("v", 2), ("rv", 2), ("rdv", 2), ("fr", 1)]
)
def test_cache_holds_only_what_is_needed(name, tensors):
    """Values for a layer without dot product; keys and values with it."""
    assert steps_of(name)["cache"] == tensors * BATCH * LENGTH * HEADS * D_KV


def model(make, **options):
    return lambda: unitransformer([layer(make), feed_forward(), layer(make)], name="lm", **options)


@pytest.mark.parametrize("name", VARIANTS)
def test_greedy_language_model_is_the_best_of_the_full_pass(name):
    prefix = np.array([[3, 5, 0, 0, 0, 0, 0, 0], [7, 2, 0, 0, 0, 0, 0, 0]])
    result = tokens_of(model(VARIANTS[name]), prefix)
    np.testing.assert_array_equal(result["ids"][:, :2], prefix[:, :2])
    np.testing.assert_array_equal(result["ids"][:, 2:], result["best"][:, 2:])


@pytest.mark.parametrize("name", ["r", "fr", "d", "fd"])
def test_rows_that_are_full_wait_for_the_others(name):
    """Mesh goes on counting their positions, beyond the end of the tables."""
    prefix = np.zeros((2, N), np.int32)
    prefix[0, : N - 1], prefix[1, :2] = 3, 4
    result = tokens_of(model(VARIANTS[name]), prefix)
    assert result["ids"][0, -1] == result["best"][0, -1]
    np.testing.assert_array_equal(result["ids"][1, 2:], result["best"][1, 2:])


@pytest.mark.parametrize("name", ["v", "r", "fr", "d", "fd", "rdv"])
def test_prefix_language_model_decodes_what_the_full_pass_says(name):
    """Inputs up to the first end see each other, in the full pass and in the first part."""
    prefix = np.array([[3, 5, END, 0, 0, 0, 0, 0], [7, 2, END, 0, 0, 0, 0, 0]])
    result = tokens_of(model(VARIANTS[name], input_full_attention=True), prefix)
    np.testing.assert_array_equal(result["ids"][:, 3:], result["best"][:, 3:])


@pytest.mark.parametrize("name", ["v", "r", "fr", "d", "fd", "rdv"])
def test_sampling_takes_likely_tokens(name):
    prefix = np.zeros((2, 8), np.int32)
    result = tokens_of(model(VARIANTS[name]), prefix, temperature=0.1, sampling_keep_top_k=2)
    logits = result["logits"]
    rank = (logits > np.take_along_axis(logits, result["ids"][..., None], -1)).sum(-1)
    assert rank.max() <= 2


@pytest.mark.parametrize("name", ["v", "r", "d", "fd", "frv", "rdv"])
def test_beam_search_finds_the_likeliest_sequence(name):
    found, wanted = likeliest_by_beam(lambda: layer(VARIANTS[name]))
    np.testing.assert_array_equal(found, wanted)
