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
    for key in runs[0]:
        if key.startswith("grad/"):
            values = [r[key] * REAL if key == "grad/x" else r[key] for r in runs]
            np.testing.assert_allclose(*values, rtol=1e-4, atol=2e-5, err_msg=key)


def shapes_in_graph(name, ids):
    """Dimension names of all Mesh tensors of a training graph, with their operations."""
    named = []

    def build(mesh):
        inputs = constant(mesh, TOKENS, ["batch", "length"])
        targets = constant(mesh, TOKENS, ["batch", "length"])
        given = {} if ids is None else {k: ids(mesh) for k in ("encoder_sequence_id",)}
        model = bitransformer(lambda: layer(VARIANTS[name](), dropout_rate=0.1))
        loss = model.call_simple(inputs, targets, True, mode="train", **given)[1]
        mtf.gradients([loss], [v.outputs[0] for v in mesh.graph.trainable_variables])
        for operation in mesh.graph.operations:
            # Attention over the encoder's output is T5's, and has such tensors.
            for t in operation.outputs:
                named.append((operation.name, set(t.shape.dimension_names)))
        return {"loss": loss}

    run(build)
    return named


@pytest.mark.parametrize("name", GLOBAL)
def test_no_attention_matrix_per_example(name):
    matrices = {"batch", "heads", "length", "memory_length"}
    stock_only = shapes_in_graph(name, None)
    per_example = [op for op, dims in stock_only if matrices <= dims]
    cross = [op for op, dims in shapes_in_graph("v", None) if matrices <= dims]
    packed = [op for op, dims in shapes_in_graph(name, imported_ids) if matrices <= dims]
    assert len(cross) > len(per_example)
    assert len(packed) > len(per_example)
    assert len(per_example) == cross_attention_matrices()


def cross_attention_matrices():
    """How many such tensors a model without any self-attention has."""

    class Nothing(mtf.transformer.transformer.TransformerLayer):
        def call(self, context, x, losses=None):
            return x

    count = []

    def build(mesh):
        tokens = constant(mesh, TOKENS, ["batch", "length"])
        loss = bitransformer(Nothing).call_simple(tokens, tokens, True, mode="train")[1]
        mtf.gradients([loss], [v.outputs[0] for v in mesh.graph.trainable_variables])
        matrices = {"batch", "heads", "length", "memory_length"}
        for operation in mesh.graph.operations:
            count.extend(1 for t in operation.outputs if matrices <= set(t.shape.dimension_names))
        return {"loss": loss}

    run(build)
    return len(count)


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


@pytest.mark.parametrize("gap", [60.0, 79.0])
def test_exact_where_padding_has_the_largest_logit(gap):
    table = np.random.RandomState(3).normal(size=(HEADS, 12, 12)).astype(np.float32)
    table[:, :, 5:] += gap  # positions that are padding in the first row
    runs = [
        call_layer(
            layer(VARIANTS["r"]()),
            X,
            sequence_id=ids,
            weights={"random/table": table},
            cotangent=COTANGENT * REAL,
        )
        for ids in (lambda mesh: unpacked_ids(mesh, TOKENS), imported_ids)
    ]
    np.testing.assert_allclose(*(r["y"] * REAL for r in runs), rtol=2e-4, atol=1e-5)
    key = "grad/random/table"
    np.testing.assert_allclose(runs[0][key], runs[1][key], rtol=1e-3, atol=1e-4)


def test_finite_far_beyond_the_bound():
    table = np.zeros((HEADS, 12, 12), np.float32)
    table[:, :, 5:] = 500.0
    result = call_layer(
        layer(VARIANTS["r"]()),
        X,
        sequence_id=lambda mesh: unpacked_ids(mesh, TOKENS),
        weights={"random/table": table},
        cotangent=COTANGENT,
    )
    assert all(np.all(np.isfinite(v)) for v in result.values())


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
