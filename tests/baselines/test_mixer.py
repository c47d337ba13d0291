"""The mixer baseline is the token mixing of an MLP-Mixer: R without the softmax."""

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from baseline_layers import BATCH, TOKENS, N, X, layer
from baseline_reference import token_mixing
from harness import D_MODEL, HEADS, call_layer, constant, run, unitransformer, weights_of
from stepwise import END, tokens_of

from mtf_synthesizer.attention.positions import Tile
from mtf_synthesizer.baselines.mixer import TokenMixing

COPYING = {"v": np.eye(D_MODEL), "o": np.eye(D_MODEL)}


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_is_the_sum_of_its_definition(causal, heads):
    result = call_layer(layer("mixer", num_heads=heads), X, autoregressive=causal)
    for row in range(BATCH):
        wanted = token_mixing(weights_of(result), X[row], heads, causal)
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-4)


def test_one_head_without_projections_is_the_product_of_a_mixer():
    """(X^T W)^T, a dense layer along the tokens of the transposed input."""
    table = np.random.RandomState(2).normal(size=(N, N))
    mixer = TokenMixing(N, num_heads=1, key_value_size=D_MODEL)
    y = call_layer(mixer, X, weights=COPYING | {"token_mixing/table": table})["y"]
    length = X.shape[1]
    dense = table[:length, :length].T
    wanted = np.transpose(np.transpose(X, [0, 2, 1]) @ dense, [0, 2, 1])
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)


def test_nothing_normalises():
    """Twice the table is twice the output; a softmax would not say so."""
    table = np.random.RandomState(3).normal(size=(N, N))
    mixer = TokenMixing(N, num_heads=1, key_value_size=D_MODEL)
    once, twice = (
        call_layer(mixer, X, weights=COPYING | {"token_mixing/table": c * table})["y"]
        for c in (1, 2)
    )
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5, atol=1e-5)


def test_a_full_row_keeps_its_size_at_the_start():
    """The table's own initial values, over 67 positions."""
    with tf.Graph().as_default(), tf.Session() as session:
        mesh = mtf.Mesh(mtf.Graph(), "test")
        model = unitransformer([TokenMixing(67, num_heads=2)], False, name="encoder")
        ids = constant(mesh, np.ones((1, 5)), ["batch", "length"])
        model.call_simple(mtf.cast(ids, tf.int32), None, False)
        (table,) = (
            v for v in mesh.graph.trainable_variables if v.name.endswith("token_mixing/table")
        )
        drawn = session.run(table.get_master().initial_value)
    np.testing.assert_allclose(drawn.std() * 67**0.5, 1, rtol=0.05)


def test_prefix_language_model_decodes_what_the_full_pass_says():
    """Inputs up to the first end see each other, in the full pass and in the first part."""
    prefix = np.array([[3, 5, END, 0, 0, 0, 0, 0], [7, 2, END, 0, 0, 0, 0, 0]])
    result = tokens_of(
        lambda: unitransformer([layer("mixer")], name="lm", input_full_attention=True), prefix
    )
    np.testing.assert_array_equal(result["ids"][:, 3:], result["best"][:, 3:])


def test_longer_rows_are_refused_or_tiled():
    with pytest.raises(ValueError, match=r"length 11 exceeds TokenMixing\.max_length = 7"):
        call_layer(layer("mixer", max_length=7), X)
    tiled = layer("mixer", max_length=4, beyond_max_length=Tile())
    result = call_layer(tiled, X)
    weights = weights_of(result)
    repeated = np.tile(weights["token_mixing/table"], [1, 3, 3])
    wanted = token_mixing(weights | {"token_mixing/table": repeated}, X[0], HEADS, False)
    np.testing.assert_allclose(result["y"][0], wanted, rtol=1e-4, atol=1e-4)


def test_dropped_values_are_scaled_up_and_only_in_training():
    """Of a table of halves and values of 1: each sum has a whole number of 0.5 / 0.8."""
    weights = COPYING | {"token_mixing/table": np.full((N, N), 0.5)}
    x = np.ones((64, N, D_MODEL))

    def outputs(mode):
        mixer = TokenMixing(N, num_heads=1, key_value_size=D_MODEL, dropout_rate=0.2)
        return call_layer(mixer, x, mode=mode, weights=weights)["y"]

    np.testing.assert_allclose(outputs("eval"), 0.5 * N, rtol=1e-5)
    kept = outputs("train") / (0.5 / 0.8)
    np.testing.assert_allclose(kept, np.round(kept), atol=1e-4)
    assert (kept == kept[:, :1, :1]).all()  # one mask for all queries and channels
    assert len(np.unique(np.round(kept))) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "TokenMixing.max_length is 0; it must be a whole number of at least 1"),
        ({"num_heads": True}, "TokenMixing.num_heads is True"),
        ({"dropout_rate": 1}, "TokenMixing.dropout_rate is 1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TokenMixing(**options)


def test_ensembles_are_refused():
    def build(mesh):
        model = unitransformer([layer("mixer")], False, name="encoder", ensemble=2)
        ids = constant(mesh, TOKENS, ["batch", "length"])
        return {"y": model.call_simple(ids, None, False)[0]}

    with pytest.raises(ValueError, match=r"TokenMixing does not support ensembles.*ensemble unset"):
        run(build)
