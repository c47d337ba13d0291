"""Baselines have the same loss and gradients on one device and on two."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from baseline_layers import DECODERS, layer
from harness import VOCAB, bitransformer, constant, feed_forward, run, unitransformer


def loss_of(name, is_packed):
    rng = np.random.RandomState(0)
    tokens = rng.randint(1, VOCAB, size=(4, 8))
    tokens[0, 5:] = 0
    ids = np.array([[1] * 3 + [2] * 5, [1] * 8, [1] * 2 + [2] * 4 + [0] * 2, [1] * 4 + [2] * 4])
    options = {"num_heads": 2, "dropout_rate": 0.0}

    def build(mesh):
        inputs = constant(mesh, tokens, ["batch", "length"])
        segments = constant(mesh, ids, ["batch", "length"]) if is_packed else None
        if name in DECODERS:
            model = bitransformer(lambda: layer(name, **options), heads=2)
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
    for layout in ("batch:all", "heads:all"):
        split = run(
            loss_of(name, is_packed), gradients_of="loss", mesh_shape="all:2", layout=layout
        )
        assert set(split) == set(whole)
        for key in whole:
            np.testing.assert_allclose(split[key], whole[key], rtol=1e-4, atol=5e-5, err_msg=key)
