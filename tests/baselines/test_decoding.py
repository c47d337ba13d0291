"""The baselines decode what their full pass says, Mesh's Universal Transformer too."""

import numpy as np
import pytest
from baseline_layers import BATCH, DECODERS, LENGTH, X, layer
from harness import D_KV, HEADS, feed_forward, unitransformer
from mesh_tensorflow.transformer import transformer_layers, universal_transformer
from stepwise import assert_steps_are_the_full_pass, decoded, likeliest_by_beam, tokens_of

KNOWN = np.array([3, 2])  # partial sequences of different lengths


@pytest.mark.parametrize("width", [2, 5, 31])
@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("name", ["lightconv", "dynconv"])
def test_steps_of_convolutions_are_the_full_pass(name, heads, width):
    result = decoded(lambda: layer(name, num_heads=heads, kernel_width=width), X, KNOWN)
    assert_steps_are_the_full_pass(result, KNOWN)
    assert result["cache"] == BATCH * (width - 1) * heads * D_KV


@pytest.mark.parametrize("heads", [HEADS, 1])
def test_steps_of_the_mixer_are_the_full_pass(heads):
    result = decoded(lambda: layer("mixer", num_heads=heads), X, KNOWN)
    assert_steps_are_the_full_pass(result, KNOWN)
    assert result["cache"] == BATCH * LENGTH * heads * D_KV


@pytest.mark.parametrize("name", DECODERS)
def test_greedy_language_model_is_the_best_of_the_full_pass(name):
    prefix = np.array([[3, 5, 4, 6, 8, 9, 2, 0], [7, 2, 0, 0, 0, 0, 0, 0]])
    result = tokens_of(
        lambda: unitransformer([layer(name), feed_forward(), layer(name)], name="lm"), prefix
    )
    np.testing.assert_array_equal(result["ids"][prefix == 0], result["best"][prefix == 0])


@pytest.mark.parametrize("name", DECODERS)
def test_beam_search_finds_the_likeliest_sequence(name):
    found, wanted = likeliest_by_beam(lambda: layer(name))
    np.testing.assert_array_equal(found, wanted)


def universal():
    """The numbers of baselines/universal.gin with fewer steps: positions halt one by one."""
    layers = [transformer_layers.SelfAttention(HEADS, key_value_size=D_KV), feed_forward()]
    for number, part in enumerate(layers):
        part.set_name(f"layer_{number:03d}")
    model = unitransformer([], name="lm")
    unused = dict.fromkeys(("gates_inputs", "gate_ffn_layer", "gating_type"))
    model.layer_stack = universal_transformer.UTLayerStack(
        layers,
        recurrence_type="act",
        act_type="basic",
        act_max_steps=3,
        act_epsilon=0.5,
        num_rec_steps=3,
        num_inrecurrence_layers=1,
        position_start_index=None,
        add_or_concat_timing_signal="add",
        step_timing_signal_type="learned",
        add_position_timing_signal=False,
        add_step_timing_signal=True,
        mix_with_transformer_before_ut=False,
        mix_with_transformer_after_ut=False,
        use_gated_transformer=False,
        **unused,
    )
    return model


def test_universal_transformer_of_mesh_decodes_what_the_full_pass_says():
    prefix = np.array([[3, 5, 4, 0, 0, 0, 0], [7, 2, 0, 0, 0, 0, 0]])
    result = tokens_of(universal, prefix, scale=0.7)
    np.testing.assert_array_equal(result["ids"][prefix == 0], result["best"][prefix == 0])
