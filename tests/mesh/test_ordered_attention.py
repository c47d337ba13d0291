"""T5's attention in another order: Mesh's own values and gradients, on one device and several."""

import types

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import constant, run
from mesh_tensorflow.transformer import attention

from mtf_synthesizer.mesh import dot_product

BATCH, LENGTH, HEADS, MEMORY, KEY, VALUE = (
    mtf.Dimension(*pair)
    for pair in [
        ("batch", 2), ("length", 5), ("heads", 4), ("memory_length", 6), ("key", 3), ("value", 7),
    ]
)  # fmt: skip
SHAPES = {
    "heads": ([BATCH, LENGTH, HEADS, KEY], [BATCH, MEMORY, HEADS]),
    "one head": ([BATCH, LENGTH, KEY], [BATCH, MEMORY]),
    "one memory head": ([BATCH, LENGTH, HEADS, KEY], [BATCH, MEMORY]),
}
BIASES = {"none": None, "heads": [LENGTH, HEADS, MEMORY], "examples": [BATCH, LENGTH, MEMORY]}


def attended(
    function,
    shapes="heads",
    bias="none",
    dtype=tf.float32,
    mesh="",
    layout="",
    weights=None,
    **options,
):
    """Outputs of an attention function, and gradients to all that goes in."""
    queries, memory = SHAPES[shapes]
    train = options.get("dropout_rate", 0) > 0
    model = types.SimpleNamespace(layout=None, mesh_shape=None)
    context = types.SimpleNamespace(mode="train", train=train, model=model)

    def build(graph):
        def variable(name, dims):
            start = tf.random_normal_initializer()
            shape = mtf.Shape(dims)
            made = mtf.get_variable(graph, name, shape, initializer=start, dtype=tf.float32)
            return mtf.cast(made, dtype)

        q, k, v = (
            variable(name, dims)
            for name, dims in [("q", queries), ("k", [*memory, KEY]), ("v", [*memory, VALUE])]
        )
        added = None if BIASES[bias] is None else variable("bias", BIASES[bias])
        outputs = function(
            q, k, v, MEMORY, KEY, VALUE, added, context=context,
            dropout_broadcast_dims=[LENGTH] if shapes == "heads" else [LENGTH, HEADS], **options,
        )  # fmt: skip
        outputs = mtf.cast(outputs, tf.float32)
        drawn = np.random.RandomState(1).normal(size=outputs.shape.to_integer_list)
        weight = constant(graph, drawn.astype(np.float32), outputs.shape.dims)
        return {"outputs": outputs, "loss": mtf.reduce_sum(outputs * weight)}

    return run(build, weights, gradients_of="loss", mesh_shape=mesh, layout=layout)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=3e-6, err_msg=name)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("bias", ["none", "heads", "examples"])
def test_equals_mesh(shapes, bias):
    if shapes == "one head" and bias == "heads":
        pytest.skip("no heads")
    args = {"shapes": shapes, "bias": bias}
    assert_same(
        attended(dot_product.ordered_attention, **args), attended(attention.attention, **args)
    )


@pytest.mark.parametrize("split", ["batch", "heads", "memory_length"])
def test_several_devices(split):
    args = {"bias": "heads"}
    devices = {"mesh": "all:2", "layout": f"{split}:all"}
    several = attended(dot_product.ordered_attention, **args, **devices)
    assert_same(several, attended(attention.attention, **args))


def test_bfloat16():
    ours, theirs = (
        attended(function, bias="heads", dtype=tf.bfloat16)
        for function in (dot_product.ordered_attention, attention.attention)
    )
    for name, value in theirs.items():
        assert np.linalg.norm(ours[name] - value) < 0.02 * np.linalg.norm(value) + 1e-6, name


def test_one_dropout_mask_for_all_queries():
    """Of equal weights some are dropped: the same for all queries, not for all heads."""
    weights = {"q": np.zeros([2, 5, 4, 3]), "v": np.zeros([2, 6, 4, 7])}
    weights["v"][:, range(6), :, range(6)] = 1
    found = attended(dot_product.ordered_attention, weights=weights, dropout_rate=0.5)["outputs"]
    kept = found[:, 0, :, :6] > 0
    assert 0.2 < kept.mean() < 0.8
    assert (kept != kept[:, :1]).any()
    expected = np.broadcast_to(kept[:, None] / 6 / 0.5, [2, 5, 4, 6])
    np.testing.assert_allclose(found[..., :6], expected, atol=1e-6)
