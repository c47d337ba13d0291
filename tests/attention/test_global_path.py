"""The global path: the same as the general one, without an attention matrix per example."""

import functools

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import (
    D_KV,
    D_MODEL,
    HEADS,
    assert_bfloat16_is_near,
    assert_same_results,
    bitransformer,
    call_layer,
    constant,
    layer_context,
    run,
    unpacked_ids,
)
from variants import GLOBAL, VARIANTS

from mtf_synthesizer.attention import masks
from mtf_synthesizer.attention.layer import SyntheticAttention, recording

BATCH, LENGTH = 2, 7
X = np.random.RandomState(0).normal(size=(BATCH, LENGTH, D_MODEL))
COTANGENT = np.random.RandomState(1).normal(size=X.shape)
TOKENS = np.array([[3, 1, 4, 1, 5, 0, 0], [2, 7, 1, 8, 2, 8, 1]])
REAL = (TOKENS != 0)[:, :, None]


def layer(function, **options):
    return SyntheticAttention(function, num_heads=HEADS, key_value_size=D_KV, **options)


def imported_ids(mesh):
    """The same ids as `unpacked_ids`, but nothing proves that they are only a padding mask."""
    return constant(mesh, np.minimum(TOKENS, 1), ["batch", "length"])


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", VARIANTS)
def test_equal_values_and_gradients(name, causal):
    """For every function: unpacked rows proved as such = the same rows taken for packed ones."""
    runs = [
        call_layer(
            layer(VARIANTS[name](), relative_attention_type="bias"),
            X * REAL,
            autoregressive=causal,
            sequence_id=ids,
            cotangent=COTANGENT * REAL,
        )
        for ids in (lambda mesh: unpacked_ids(mesh, TOKENS), imported_ids)
    ]
    np.testing.assert_allclose(*(r["y"] * REAL for r in runs), rtol=1e-4, atol=1e-5)
    assert_same_results(*(gradients(r) for r in runs))


def gradients(result):
    """Those of the variables, and that of the input where it is real."""
    of_variables = {k: v for k, v in result.items() if k.startswith("grad/") and k != "grad/x"}
    return {**of_variables, "grad/x": result["grad/x"] * REAL}


MATRICES = {"batch", "heads", "length", "memory_length"}


class Nothing(mtf.transformer.transformer.TransformerLayer):
    """In place of self-attention."""

    def call(self, context, x, losses=None):
        return x


@functools.cache
def matrices_per_example(name=None, packed=False):
    """How many tensors of a model's training graph have an attention matrix for each example.

    Args:
      name: of the function in its self-attention; None for a model without. Attention to the
        encoder's output is T5's, and has such tensors.
      packed: whether nothing proves that the encoder's rows hold one sequence each.
    """

    def self_attention():
        return layer(VARIANTS[name](), dropout_rate=0.1) if name else Nothing()

    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        inputs, targets = (constant(mesh, TOKENS, ["batch", "length"]) for _ in range(2))
        ids = {"encoder_sequence_id": imported_ids(mesh)} if packed else {}
        model = bitransformer(self_attention)
        loss = model.call_simple(inputs, targets, True, mode="train", **ids)[1]
        mtf.gradients([loss], [v.outputs[0] for v in mesh.graph.trainable_variables])
        outputs = [tensor for each in mesh.graph.operations for tensor in each.outputs]
        return sum(set(tensor.shape.dimension_names) >= MATRICES for tensor in outputs)


@pytest.mark.parametrize("name", GLOBAL)
def test_no_attention_matrix_per_example(name):
    found = matrices_per_example(name)
    assert matrices_per_example("v") > found
    assert matrices_per_example(name, packed=True) > found
    assert found == matrices_per_example()


def test_no_matrix_per_example_in_tensorflow_either():
    """An einsum could hide one: no TensorFlow tensor of the layer is that large."""
    largest = []

    def build(mesh):
        ids = unpacked_ids(mesh, np.tile(TOKENS, [5, 1]))
        context = layer_context(mesh, 10, LENGTH, True, sequence_id=ids)
        x = constant(mesh, np.tile(X, [5, 1, 1]).astype(np.float32), ["batch", "length", "d_model"])
        y = layer(VARIANTS["r"]()).call(context, x)
        return {"y": y}

    with tf.Graph().as_default() as graph:
        mtf_graph = mtf.Graph()
        mesh = mtf.Mesh(mtf_graph, "test")
        outputs = build(mesh)
        loss = mtf.reduce_sum(outputs["y"])
        grads = mtf.gradients([loss], [v.outputs[0] for v in mtf_graph.trainable_variables])
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", ["cpu:0"])
        lowering = mtf.Lowering(mtf_graph, {mesh: implementation})
        for grad in grads:
            lowering.export_to_tf_tensor(grad)
        for operation in graph.get_operations():
            largest += [t.shape.num_elements() or 0 for t in operation.outputs]
    assert max(largest) < 10 * HEADS * LENGTH * LENGTH


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_rows_of_padding_give_zero(causal):
    tokens = np.zeros_like(TOKENS)
    result = call_layer(
        layer(VARIANTS["r"]()),
        X,
        autoregressive=causal,
        sequence_id=lambda mesh: unpacked_ids(mesh, tokens),
        cotangent=COTANGENT,
    )
    assert np.all(result["y"] == 0)
    assert all(np.all(v == 0) for k, v in result.items() if k.startswith("grad/"))


# Logits of the keys of rows of 11: one with 7 tokens and then padding, one without padding.
PREFERRED_PADDING = {
    "below": [0.0] * 7 + [44.0] * 4,
    "above": [0.0] * 7 + [47.0] * 4,
    "84": [0.0] * 7 + [84.0] * 4,
    "88": [0.0] * 7 + [88.0] * 4,
    "500": [0.0] * 7 + [500.0] * 4,
    "small ones": [0.0] + [-8.0] * 6 + [80.0] * 4,
    "first of all": [300.0, -300.0, 299.0, 0.0, 298.0, 1.0, 2.0] + [900.0] * 4,
}


def mixed_by_loops(table, x, value, output, lengths):
    """softmax(R) X W_V W_O in float64, each row over its own keys; [batch, length, d_model]."""
    y = np.zeros(x.shape)
    for b, length in enumerate(lengths):
        for h in range(HEADS):
            for i in range(length):
                own = np.exp(table[h, i, :length] - table[h, i, :length].max())
                y[b, i] += own / own.sum() @ x[b, :length] @ value[h] @ output[h]
    return y


@pytest.mark.parametrize("mesh", [{}, {"mesh_shape": "all:2", "layout": "batch:all"}])
@pytest.mark.parametrize("name", PREFERRED_PADDING)
def test_padding_with_the_largest_logits(name, mesh):
    """As good as float32, values and gradients, however far padding lies above."""
    lengths, real = [7, 11], np.arange(11) < np.array([[7], [11]])
    draw = np.random.RandomState(3)
    table = draw.normal(size=(HEADS, 12, 12), scale=0.01)
    table[:, :, :11] += PREFERRED_PADDING[name]
    table = table.astype(np.float32).astype(np.float64)
    x, cotangent = draw.normal(size=(2, 2, 11, D_MODEL)) * real[..., None]
    value, output = draw.normal(size=(2, D_MODEL, HEADS * D_KV))
    result = call_layer(
        layer(VARIANTS["r"]()),
        x,
        sequence_id=lambda m: unpacked_ids(m, real.astype(np.int32)),
        weights={"random/table": table, "v": value, "o": output.T},
        cotangent=cotangent,
        **mesh,
    )
    by_head = [np.moveaxis(w.reshape(D_MODEL, HEADS, D_KV), 1, 0) for w in (value, output)]

    def by_loops(table, x):
        return mixed_by_loops(table, x, by_head[0], by_head[1].transpose(0, 2, 1), lengths)

    np.testing.assert_allclose(result["y"] * real[..., None], by_loops(table, x), rtol=0, atol=5e-5)
    for entry in [(0, 0, 0), (1, 6, 1), (2, 3, 6), (0, 2, 8)]:
        step = np.zeros_like(table)
        step[entry] = 1e-4
        change = by_loops(table + step, x) - by_loops(table - step, x)
        wanted = (change * cotangent).sum() / 2e-4
        np.testing.assert_allclose(result["grad/random/table"][entry], wanted, rtol=2e-4, atol=2e-4)
    # Linear in x: the gradient to x, times x, is the objective.
    wanted = (by_loops(table, x) * cotangent).sum()
    np.testing.assert_allclose((result["grad/x"] * x).sum(), wanted, rtol=1e-4)


@pytest.mark.parametrize("options", [{"num_memory_heads": 1}, {"relative_attention_type": "bias"}])
@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_padding_far_above_is_as_on_the_general_path(causal, options):
    """With heads that share values, and with T5's biases."""
    table = np.random.RandomState(3).normal(size=(HEADS, 12, 12)).astype(np.float32)
    table[:, :, 5:] += 120
    runs = [
        call_layer(
            layer(VARIANTS["r"](), **options),
            X,
            causal,
            sequence_id=ids,
            weights={"random/table": table},
            cotangent=COTANGENT * REAL,
        )
        for ids in (lambda mesh: unpacked_ids(mesh, TOKENS), imported_ids)
    ]
    np.testing.assert_allclose(*(r["y"] * REAL for r in runs), rtol=1e-4, atol=1e-5)
    assert_same_results(*(gradients(r) for r in runs))


@pytest.mark.parametrize("extra_logit", [None, 1e4])
def test_what_all_logits_have_in_common(extra_logit):
    """Rows without ids: 1e4 on top of all logits, which are multiples of 1/64, changes nothing."""
    table = np.round(np.random.RandomState(3).normal(size=(HEADS, 12, 12)) * 64) / 64
    plain, raised = (
        call_layer(
            layer(VARIANTS["r"](), extra_logit=extra_logit and extra_logit - 1e4 + offset),
            X,
            weights={"random/table": table + offset},
            cotangent=COTANGENT,
        )
        for offset in (0.0, 1e4)
    )
    for key in ("y", "grad/random/table", "grad/x"):
        np.testing.assert_allclose(plain[key], raised[key], rtol=1e-6, atol=1e-6, err_msg=key)


def test_what_counts_as_a_padding_mask():
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        tokens = constant(mesh, TOKENS, ["batch", "length"])
        assert masks.is_padding_mask(mtf.minimum(tokens, 1))
        assert masks.is_padding_mask(mtf.minimum(1, tokens))
        assert not masks.is_padding_mask(mtf.minimum(tokens, 2))
        assert not masks.is_padding_mask(mtf.maximum(tokens, 1))
        assert not masks.is_padding_mask(mtf.minimum(tokens, tokens))
        assert not masks.is_padding_mask(tokens)


def test_mixer_without_softmax_is_the_table():
    """One head with identities for W_V and W_O: R alone mixes tokens, as in an MLP-Mixer."""
    recorded = {}

    def build(mesh):
        context = layer_context(mesh, BATCH, LENGTH, False)
        x = constant(mesh, X.astype(np.float32), ["batch", "length", "d_model"])
        mixer = SyntheticAttention(VARIANTS["r"](), num_heads=1, key_value_size=D_MODEL)
        with recording() as records:
            recorded["y"] = mixer.call(context, x)
        return {"y": recorded["y"], "weights": records[0].weights}

    eye = np.eye(D_MODEL)
    result = run(build, weights={"v": eye, "o": eye})
    table = result["weight/random/table"][:LENGTH, :LENGTH].astype(np.float64)
    weights = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result["weights"], weights, rtol=1e-5)
    np.testing.assert_allclose(result["y"], np.einsum("ij,bjd->bid", weights, X), atol=1e-5)


@pytest.mark.parametrize("ids", [None, "padding", "packed"])
@pytest.mark.parametrize("name", VARIANTS)
def test_bfloat16_activations(name, ids):
    sequence_id = {
        None: None,
        "padding": lambda mesh: unpacked_ids(mesh, TOKENS),
        "packed": imported_ids,
    }[ids]
    assert_bfloat16_is_near(
        functools.partial(
            call_layer,
            layer(VARIANTS[name]()),
            X * REAL,
            autoregressive=True,
            sequence_id=sequence_id,
            cotangent=COTANGENT * REAL,
        ),
        REAL,
    )
