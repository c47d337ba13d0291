"""fast_cpu.gin over a whole model of T5's own layers: same variables, loss, gradients, updates."""

import pathlib

import gin
import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import D_KV, HEADS, bitransformer, constant, run
from mesh_tensorflow.transformer import transformer_layers

from mtf_synthesizer.mesh import adafactor, dot_product, norm

FILE = pathlib.Path(__file__).resolve().parents[2] / "gin" / "fast_cpu.gin"
IDS = np.array([[3, 18, 3, 1, 6, 2, 1, 0], [2, 2, 17, 3, 10, 5, 4, 1]])
PACKED = np.array([[1, 1, 1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1, 1, 1]])


@pytest.fixture
def fast():
    """fast_cpu.gin, and its functions for this test alone."""
    with gin.unlock_config():
        gin.parse_config_file(str(FILE))
    yield
    with gin.unlock_config():
        for core in ("attention_core", "rms_norm_core", "adafactor_core"):
            default = dot_product.MESH_ATTENTION if core == "attention_core" else None
            gin.bind_parameter(f"{core}.function", default)


def loss(packed):
    def layer():
        return transformer_layers.SelfAttention(
            num_heads=HEADS, key_value_size=D_KV, relative_attention_type="bias_shared"
        )

    def build(mesh):
        tokens = constant(mesh, IDS, ["batch", "length"])
        ids = constant(mesh, PACKED, ["batch", "length"]) if packed else None
        options = {"encoder_sequence_id": ids, "decoder_sequence_id": ids} if packed else {}
        model = bitransformer(layer)
        _, loss = model.call_simple(
            tokens, tokens, compute_loss=True, mode="train", variable_dtype=mtf.VariableDType(),
            **options,
        )  # fmt: skip
        return {"loss": loss}

    return build


@pytest.mark.parametrize("packed", [False, True], ids=["alone", "packed"])
def test_equals_mesh(packed, request):
    theirs = run(loss(packed), gradients_of="loss")
    request.getfixturevalue("fast")
    ours = run(loss(packed), gradients_of="loss")
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(ours[name], value, atol=3e-5 * scale, err_msg=name)


def decoded(heads, beams):
    def layer():
        return transformer_layers.SelfAttention(
            num_heads=HEADS, num_memory_heads=heads, key_value_size=D_KV
        )

    def cross():
        return transformer_layers.EncDecAttention(
            num_heads=HEADS, num_memory_heads=heads, key_value_size=D_KV
        )

    def build(mesh):
        model = bitransformer(layer, cross=cross)
        tokens = constant(mesh, IDS, ["batch", "length"])
        tokens = model.decode(tokens, beam_size=beams, decode_length_constant=6)
        return {"tokens": tokens}

    return build


@pytest.mark.parametrize("heads", [0, 1], ids=["heads", "one memory head"])
@pytest.mark.parametrize("beams", [1, 3])
def test_decodes_the_tokens_of_mesh(heads, beams, request, monkeypatch):
    theirs = run(decoded(heads, beams))
    request.getfixturevalue("fast")
    steps, own = [], dot_product._step
    monkeypatch.setattr(dot_product, "_step", lambda *args: steps.append(args) or own(*args))
    ours = run(decoded(heads, beams))
    np.testing.assert_array_equal(ours["tokens"], theirs["tokens"])
    assert steps  # over the encoder's output


def test_every_function_is_taken(fast, monkeypatch):
    """Each module that is bound is called where Mesh's own function would be."""
    called = []

    def noticed(module, name):
        own = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: called.append(module) or own(*args))

    noticed(norm, "sum_of_squares")
    noticed(dot_product, "attended")
    noticed(adafactor, "sum_of_squares")
    mesh = mtf.Mesh(mtf.Graph(), "test")
    with tf.Graph().as_default():
        total = loss(False)(mesh)["loss"]
        variables = mesh.graph.trainable_variables
        grads = mtf.gradients([total], [v.outputs[0] for v in variables])
        optimizer = mtf.optimize.AdafactorOptimizer(learning_rate=0.1, min_dim_size_to_factor=5)
        assert {*called} == {norm, dot_product}
        optimizer.apply_grads(grads, variables)
    assert {*called} == {norm, dot_product, adafactor}


def test_nothing_changes_unless_it_is_bound(monkeypatch):
    """Installed functions leave all to Mesh: ours are never called."""
    import mtf_synthesizer.upstream.fast

    for module, name in [(norm, "sum_of_squares"), (dot_product, "attended")]:
        monkeypatch.delattr(module, name)
    run(loss(False), gradients_of="loss")
