"""LightConv and DynamicConv: the equations of their paper, and what they refuse."""

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import pytest
from baseline_layers import BATCH, CONVOLUTIONS, TOKENS, WIDTH, X, layer
from baseline_reference import dynamic_conv, light_conv
from harness import (
    D_MODEL,
    HEADS,
    VOCAB,
    assert_same_results,
    bitransformer,
    call_layer,
    constant,
    run,
    unitransformer,
    weights_of,
)

from mtf_synthesizer.baselines.convolutions import DynamicConv, LightConv

REFERENCE = {"lightconv": light_conv, "dynconv": dynamic_conv}


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("width", [2, 4, 5, 9, 31])
@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_those_of_the_paper(name, causal, width, heads):
    """Widths below and above the length, odd and even."""
    result = call_layer(
        layer(name, kernel_width=width, num_heads=heads), X, autoregressive=causal, scale=1.0
    )
    for row in range(BATCH):
        wanted = REFERENCE[name](weights_of(result), X[row], heads, width, causal)
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("length", [1, 37, 67, 101])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_lengths_of_one_block_and_of_several(name, length):
    x = np.random.RandomState(2).normal(size=(1, length, D_MODEL))
    result = call_layer(layer(name), x)
    wanted = REFERENCE[name](weights_of(result), x[0], HEADS, WIDTH, False)
    np.testing.assert_allclose(result["y"][0], wanted, rtol=1e-4, atol=1e-4)


def test_a_kernel_worked_out_by_hand():
    """Halves of the position before and of the position itself, through projections that copy."""
    weights = {"v": np.eye(D_MODEL), "o": np.eye(D_MODEL), "gate": np.zeros((D_MODEL, D_MODEL))}
    result = call_layer(
        LightConv(num_heads=1, key_value_size=D_MODEL, kernel_width=2),
        X,
        autoregressive=True,
        weights=weights | {"kernel": np.zeros(2)},
    )
    before = np.concatenate([np.zeros((BATCH, 1, D_MODEL)), X[:, :-1]], axis=1)
    np.testing.assert_allclose(result["y"], 0.25 * (X + before), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_dropped_weights_are_scaled_up_and_only_in_training(name):
    """Kernels of zeros weigh all alike: a fifth each, or none, or a quarter more."""
    weights = {"v": np.eye(D_MODEL), "o": np.eye(D_MODEL), "gate": np.zeros((D_MODEL, D_MODEL))}
    shape = [WIDTH] if name == "lightconv" else [D_MODEL, WIDTH]
    x = np.zeros((1, 29, D_MODEL))
    x[0, ::WIDTH] = 1.0  # each window holds one of them

    def outputs(mode):
        dropping = CONVOLUTIONS[name](1, D_MODEL, WIDTH, dropout_rate=0.2)
        given = weights | {"kernel": np.zeros(shape)}
        return call_layer(dropping, x, mode=mode, weights=given)["y"][0, 2:-2]

    np.testing.assert_allclose(outputs("eval"), 0.5 / WIDTH, rtol=1e-5)
    trained = np.concatenate([outputs("train").ravel() for _ in range(6)])
    values = np.unique(np.round(trained, 5))
    assert set(values) <= {0.0, np.round(np.float32(0.5 / WIDTH / 0.8), 5)}
    assert len(values) == 2


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_layout_that_splits_the_length_is_refused(name):
    with pytest.raises(ValueError, match="Remove length from the layout rules"):
        call_layer(layer(name), X[:, :8], mesh_shape="all:2", layout="length:all")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_prefix_language_models_are_refused(name):
    def build(mesh):
        model = unitransformer([layer(name)], name="lm", input_full_attention=True)
        ids = constant(mesh, TOKENS, ["batch", "length"])
        return {"logits": model.call_simple(ids, ids, False)[0]}

    with pytest.raises(ValueError, match="input_full_attention False"):
        run(build)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_microbatches_add_up(name):
    """Inside Mesh's loop, whose body has the convolution's gradient too."""
    tokens = np.random.RandomState(5).randint(1, VOCAB, size=(4, 7))

    def loss(given):
        ids, microbatches = given["ids"], 4 // given["ids"].shape.dims[0].size
        model = bitransformer(lambda: layer(name))
        options = {"num_microbatches": microbatches}
        return {"loss": model.call_simple(ids, ids, True, **options)[1]}

    def build(mesh):
        features = {"ids": constant(mesh, tokens, ["batch", "length"])}
        grads, outputs = mtf.serialize_training_step(features, loss, mtf.Dimension("batch", 4), 2)
        named = zip(mesh.graph.trainable_variables, grads, strict=True)
        return {"loss": outputs["loss"], **{f"grad/{v.name}": g for v, g in named}}

    def whole(mesh):
        return loss({"ids": constant(mesh, tokens, ["batch", "length"])})

    parts, plain = run(build), run(whole, gradients_of="loss")
    assert_same_results(parts, plain)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LightConv(kernel_width=1), "LightConv.kernel_width is 1; .* at least 2"),
        (lambda: DynamicConv(num_heads=0), "DynamicConv.num_heads is 0; .* at least 1"),
        (lambda: DynamicConv(dropout_rate=1.0), "DynamicConv.dropout_rate is 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
