"""The cross entropy of tokens: Mesh's own values and gradients, on one device and several."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import VOCAB, constant, feed_forward, run, unitransformer
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.mesh.token_loss import token_cross_entropy
from mtf_synthesizer.upstream import session

# Padding, a prefix (negative: Mesh's mark of what is input alone), a whole row of padding.
IDS = np.array([[3, 18, 3, 6, 1, 0, 0], [2, 2, 17, 3, 10, 5, 1], [0] * 7, [4, 1, 12, 1, 0, 0, 0]])
PREFIX = np.array([[3, 7, 1, 6, 4, 1, 0], [2, 1, 17, 3, 10, 5, 1]])


def trained(loss_fn, ids=IDS, mode="train", dtype=tf.float32, mesh_shape="", layout="", **options):
    """The loss of a language model without attention, and its gradients."""

    def build(mesh):
        model = unitransformer([feed_forward()], loss_fn=loss_fn, **options)
        targets = constant(mesh, ids, ["batch", "length"])
        types = mtf.VariableDType(activation_dtype=dtype)
        _, loss = model.call_simple(
            targets, targets, compute_loss=True, mode=mode, variable_dtype=types
        )
        return {"loss": mtf.cast(loss, tf.float32)}

    return run(build, gradients_of="loss", mesh_shape=mesh_shape, layout=layout)


def assert_same(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name in theirs:
        scale = np.abs(theirs[name]).max()
        assert scale > 1e-3, name
        np.testing.assert_allclose(ours[name] / scale, theirs[name] / scale, atol=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"z_loss": 0.3},
        {"label_smoothing": 0.2},
        {"z_loss": 0.3, "label_smoothing": 0.2},
        {"z_loss": 0.3, "mode": "eval"},
        {"ids": PREFIX, "loss_on_targets_only": True},
        {"loss_denominator": 13},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_equals_mesh(options):
    assert_same(trained(token_cross_entropy, **options), trained(None, **options), 1e-5)


def test_mean_of_logarithms():
    """By hand, from the logits themselves."""
    rows = np.random.RandomState(0).normal(size=(1, 5, VOCAB)).astype(np.float32)
    ids = np.array([[7, 1, 18, 0, 0]])

    def build(mesh):
        model = unitransformer([], z_loss=0.0)
        logits = constant(mesh, rows, ["batch", "length", model.output_vocab_dim])
        targets = constant(mesh, ids, ["batch", "length"])
        context = transformer.Context(
            model=model, mesh=mesh, batch_dims=[], length_dim=None, mode="train",
            variable_dtype=mtf.VariableDType(),
        )  # fmt: skip
        of = (model, context, logits, targets, model.output_vocab_dim)
        return {"loss": token_cross_entropy(*of)}

    chosen = [np.exp(x[t]) / np.exp(x).sum() for x, t in zip(rows[0], ids[0], strict=True) if t]
    assert run(build)["loss"] == pytest.approx(-np.log(chosen).sum() / 5, rel=1e-6)


def test_bfloat16():
    options = {"dtype": tf.bfloat16, "z_loss": 0.1}
    assert_same(trained(token_cross_entropy, **options), trained(None, **options), 0.03)


@pytest.mark.parametrize(
    ("mesh_shape", "layout"), [("all:2", "batch:all"), ("all:19", "vocab:all")]
)
def test_several_devices(mesh_shape, layout):
    options = {"z_loss": 0.3, "label_smoothing": 0.2}
    alone = trained(token_cross_entropy, **options)
    split = trained(token_cross_entropy, mesh_shape=mesh_shape, layout=layout, **options)
    assert_same(split, alone, 1e-5)


def test_a_processor_takes_it():
    request = Request(task="t", synthesizer="v", size="tiny")
    with session.configured(for_training(request), verbose=False):
        model = transformer.make_bitransformer(VOCAB, VOCAB)
        assert "token_cross_entropy" in str(model.decoder._loss_fn)
