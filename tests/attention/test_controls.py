"""Toeplitz holds every relative position bias of T5."""

import math

import numpy as np
import pytest
from harness import D_KV, D_MODEL, HEADS, call_layer

from mtf_synthesizer.attention.controls import Toeplitz, Uniform
from mtf_synthesizer.attention.layer import SyntheticAttention

LENGTH, N, BUCKETS = 139, 128, 32


def bucket(distance, causal):
    """T5's bucket of p_j - p_i: exact for the nearest half, logarithmic up to 128 beyond."""
    half = BUCKETS if causal else BUCKETS // 2
    side = 0 if causal or distance <= 0 else half
    far = max(-distance, 0) if causal else abs(distance)
    exact = half // 2
    if far < exact:
        return side + far
    return side + min(exact + int(math.log(far / exact) / math.log(128 / exact) * exact), half - 1)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_a_relative_bias_is_a_toeplitz_table(causal):
    """Also for distances beyond N = 128, where T5's last bucket begins before."""
    draw = np.random.RandomState(0)
    x, biases = draw.normal(size=(1, LENGTH, D_MODEL)), draw.normal(size=(HEADS, BUCKETS))
    table = [[row[bucket(-behind, causal)] for behind in range(1 - N, N)] for row in biases]
    numbers = {"num_heads": HEADS, "key_value_size": D_KV}
    by_bias = call_layer(
        SyntheticAttention(Uniform(), relative_attention_type="bias", **numbers),
        x,
        causal,
        weights={"relative_attention_bias": biases},
    )
    by_table = call_layer(
        SyntheticAttention(Toeplitz(N), **numbers),
        x,
        causal,
        weights={"toeplitz/table": np.array(table)},
    )
    np.testing.assert_allclose(by_table["y"], by_bias["y"], rtol=1e-5, atol=1e-6)


def test_no_table_without_a_distance():
    with pytest.raises(ValueError, match=r"Toeplitz\.max_length is 0"):
        Toeplitz(0)
