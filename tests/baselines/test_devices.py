"""Baselines have the same loss, gradients and decoded steps on one device, two and eight."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from baseline_layers import DECODERS, layer
from harness import (
    D_MODEL,
    VOCAB,
    bitransformer,
    call_layer,
    constant,
    feed_forward,
    run,
    unitransformer,
)
from stepwise import assert_steps_are_the_full_pass, decoded

HEADS = 4
MESHES = {
    "batch": ("all:2", "batch:all"),
    "heads": ("all:2", "heads:all"),
}
EIGHT = {"mesh_shape": "batch:2;model:4", "layout": "batch:batch;heads:model"}
IDS = np.array([[1] * 3 + [2] * 5, [1] * 8, [1] * 2 + [2] * 4 + [0] * 2, [1] * 4 + [2] * 4])
X = np.random.RandomState(1).normal(size=(4, 8, D_MODEL))
COTANGENT = np.random.RandomState(2).normal(size=X.shape)


def loss_of(name, is_packed):
    rng = np.random.RandomState(0)
    tokens = rng.randint(1, VOCAB, size=(4, 8))
    tokens[0, 5:] = 0
    options = {"num_heads": HEADS, "dropout_rate": 0.0}

    def build(mesh):
        inputs = constant(mesh, tokens, ["batch", "length"])
        segments = constant(mesh, IDS, ["batch", "length"]) if is_packed else None
        if name in DECODERS:
            model = bitransformer(lambda: layer(name, **options), heads=HEADS)
            kinds = ("encoder_sequence_id", "decoder_sequence_id") if is_packed else ()
            given = dict.fromkeys(kinds, segments)
            return {"loss": model.call_simple(inputs, inputs, True, **given)[1]}
        model = unitransformer([layer(name, **options), feed_forward()], False, name="encoder")
        segments = segments or mtf.minimum(inputs, 1)
        output = model.call_simple(inputs, None, False, sequence_id=segments)[0]
        return {"loss": mtf.reduce_sum(output * mtf.cast(mtf.not_equal(segments, 0), tf.float32))}

    return build


@pytest.mark.parametrize("is_packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", [*DECODERS, "linformer", "raganato"])
def test_two_devices(name, is_packed):
    whole = run(loss_of(name, is_packed), gradients_of="loss")
    for mesh_shape, layout in MESHES.values():
        split = run(
            loss_of(name, is_packed), gradients_of="loss", mesh_shape=mesh_shape, layout=layout
        )
        assert set(split) == set(whole)
        for key in whole:
            np.testing.assert_allclose(split[key], whole[key], rtol=1e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("name", [*DECODERS, "linformer", "raganato"])
def test_a_layer_on_eight_devices(name):
    def ids(mesh):
        return constant(mesh, IDS, ["batch", "length"])

    whole, split = (
        call_layer(layer(name, num_heads=HEADS), X, False, ids, cotangent=COTANGENT, **mesh)
        for mesh in ({}, EIGHT)
    )
    assert set(split) == set(whole)
    for key in whole:
        np.testing.assert_allclose(split[key], whole[key], rtol=1e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("name", DECODERS)
def test_decoding_steps_on_eight_devices(name):
    known = np.array([5, 4, 6, 6])
    result = decoded(lambda: layer(name, num_heads=HEADS), X[:, :7], known, **EIGHT)
    assert_steps_are_the_full_pass(result, known)
