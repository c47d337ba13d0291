"""Linformer: the equation of its paper, and what it refuses."""

import numpy as np
import pytest
from baseline_layers import BATCH, RANK, X, layer
from baseline_reference import linformer
from harness import HEADS, call_layer, weights_of

from mtf_synthesizer.baselines.linformer import Linformer


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("name", ["linformer", "linformer shared"])
def test_linformer_is_that_of_the_paper(name, heads):
    result = call_layer(layer(name, num_heads=heads), X)
    for row in range(BATCH):
        wanted = linformer(weights_of(result), X[row], heads, RANK)
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-4)


def test_linformer_refuses_decoders_and_long_rows():
    with pytest.raises(ValueError, match="Linformer is for encoders"):
        call_layer(layer("linformer"), X, autoregressive=True)
    with pytest.raises(ValueError, match=r"length 11 exceeds Linformer\.max_length = 7"):
        call_layer(layer("linformer", max_length=7), X)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "Linformer.rank is 0; it must be a whole number of at least 1"),
        ({"rank": 2.5}, "Linformer.rank is 2.5; it must be a whole number"),
        ({"max_length": 0}, "Linformer.max_length is 0"),
        ({"key_value_size": 0}, "Linformer.key_value_size is 0"),
        ({"dropout_rate": -0.1}, "Linformer.dropout_rate is -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Linformer(**options)
