"""What holds for all baselines: packed rows, padding, gradients, bfloat16, recomputed layers."""

import functools

import mesh_tensorflow as mtf
import numpy as np
import packed_rows
import pytest
from baseline_layers import COTANGENT, LENGTH, STACKED, TOKENS, X, layer
from harness import (
    HEADS,
    VOCAB,
    assert_bfloat16_is_near,
    call_layer,
    constant,
    feed_forward,
    run,
    unitransformer,
    unpacked_ids,
    weights_of,
)


@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_gradients_are_slopes(name, causal):
    """Along a random direction of all variables, against the difference quotient."""
    options = {"autoregressive": causal, "cotangent": COTANGENT}
    result = call_layer(layer(name), X, **options)
    draw = np.random.RandomState(3)
    weights = weights_of(result)
    step = {k: 1e-3 * draw.normal(size=v.shape) for k, v in weights.items()}
    ahead, behind = (
        call_layer(
            layer(name), X, weights={k: v + s * step[k] for k, v in weights.items()}, **options
        )
        for s in (1, -1)
    )
    slope = (ahead["objective"] - behind["objective"]) / 2
    wanted = sum(np.sum(result[f"grad/{k}"] * step[k]) for k in weights)
    np.testing.assert_allclose(slope, wanted, rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_packed_is_alone(name, causal, heads):
    together, apart = (
        rows(layer(name, num_heads=heads), causal)
        for rows in (packed_rows.packed, packed_rows.alone)
    )
    packed_rows.assert_same(together, apart)


@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_padding_is_as_if_it_were_not_there(name, causal):
    short = call_layer(layer(name), X[:1, :7], autoregressive=causal)
    padded = call_layer(
        layer(name),
        X,
        autoregressive=causal,
        sequence_id=lambda mesh: unpacked_ids(mesh, TOKENS),
    )
    np.testing.assert_allclose(padded["y"][0, :7], short["y"][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ids", ["padding", "packed"])
@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_bfloat16_activations(name, causal, ids):
    makers = {
        "padding": lambda mesh: unpacked_ids(mesh, TOKENS),
        "packed": lambda mesh: constant(mesh, np.minimum(TOKENS, 1), ["batch", "length"]),
    }
    real = (TOKENS > 0)[:, :, None]
    assert_bfloat16_is_near(
        functools.partial(
            call_layer,
            layer(name),
            X * real,
            autoregressive=causal,
            sequence_id=makers[ids],
            cotangent=COTANGENT * real,
        ),
        real,
    )


@pytest.mark.parametrize("name", ["lightconv", "dynconv", "linformer", "mixer", "raganato"])
def test_recomputed_layers_have_the_same_gradients(name):
    """`LayerStack.recompute_grads` on packed rows, whose masks the layers share."""
    ids = packed_rows.IDS
    tokens = np.random.RandomState(4).randint(2, VOCAB, size=(1, LENGTH)) * (ids > 0)

    def gradients(recompute):
        def build(mesh):
            model = unitransformer(
                [layer(name), feed_forward(), layer(name)], False, name="encoder"
            )
            model.layer_stack._recompute_grads = recompute
            segments = constant(mesh, ids, ["batch", "length"])
            inputs = constant(mesh, tokens, ["batch", "length"])
            output = model.call_simple(inputs, None, False, sequence_id=segments, mode="train")[0]
            weight = constant(mesh, COTANGENT[0, 0].astype("f"), ["d_model"])
            return {"loss": mtf.reduce_sum(output * weight)}

        return run(build, gradients_of="loss")

    plain, recomputed = gradients(False), gradients(True)
    assert set(plain) == set(recomputed)
    for key in plain:
        np.testing.assert_allclose(recomputed[key], plain[key], rtol=1e-4, atol=1e-5, err_msg=key)
