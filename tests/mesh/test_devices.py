"""The same loss, gradients and decoded steps on 1, 2, 4 and 8 devices, whatever a layout splits."""

import numpy as np
import pytest
from harness import (
    D_KV,
    D_MODEL,
    assert_same_results,
    bitransformer,
    call_layer,
    constant,
    run,
    unpacked_ids,
)
from stepwise import assert_steps_are_the_full_pass, decoded
from variants import DISTINCT, GLOBAL, VARIANTS

from mtf_synthesizer.attention.layer import SyntheticAttention

RNG = np.random.RandomState(0)
INPUTS = RNG.randint(1, 19, size=(4, 8))
TARGETS = RNG.randint(1, 19, size=(4, 6))
INPUTS[0, 5:] = 0
IDS = np.array([[1] * 3 + [2] * 5, [1] * 8, [1] * 2 + [2] * 4 + [0] * 2, [1] * 4 + [2] * 4])
X = RNG.normal(size=(4, 8, D_MODEL))
COTANGENT = RNG.normal(size=X.shape)
HEADS = 4
BOTH = "batch:batch;heads:model"
EIGHT = {"mesh_shape": "batch:2;model:4", "layout": BOTH}


def loss_of(name, packed):
    def build(mesh):
        ids = {}
        if packed:
            ids["encoder_sequence_id"] = constant(mesh, IDS, ["batch", "length"])
        inputs, targets = (constant(mesh, t, ["batch", "length"]) for t in (INPUTS, TARGETS))
        return {"loss": model(name).call_simple(inputs, targets, True, **ids)[1]}

    return build


def model(name):
    return bitransformer(lambda: layer(name, relative="bias_shared"), heads=HEADS)


def assert_same(whole, name, packed, mesh_shape, layout):
    split = run(loss_of(name, packed), gradients_of="loss", mesh_shape=mesh_shape, layout=layout)
    assert_same_results(split, whole)


@pytest.fixture(scope="module")
def one_device():
    results = {}

    def result(name, packed):
        if (name, packed) not in results:
            results[name, packed] = run(loss_of(name, packed), gradients_of="loss")
        return results[name, packed]

    return result


# The other two combinations are among those of eight devices.
@pytest.mark.parametrize(
    ("layout", "packed"), [("batch:all", False), ("heads:all", True)], ids=["batch", "heads"]
)
@pytest.mark.parametrize("name", DISTINCT)
def test_two_devices(one_device, name, layout, packed):
    assert_same(one_device(name, packed), name, packed, "all:2", layout)


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", ["v", "r", "rdv"])
def test_keys_on_two_devices(one_device, name, packed):
    """The softmax then takes its maximum and its sum over both."""
    assert_same(one_device(name, packed), name, packed, "all:2", "memory_length:all")


# Rows of the encoder are packed here and those of the decoder are not: both paths of weighting.
@pytest.mark.parametrize(
    ("name", "mesh_shape"), [("r", "batch:4"), ("fd", "model:4"), ("rdv", "batch:2;model:2")]
)
def test_whole_models_on_four_devices(one_device, name, mesh_shape):
    assert_same(one_device(name, True), name, True, mesh_shape, BOTH)


def test_a_whole_model_decodes_the_same_on_four_devices():
    def build(mesh):
        inputs = constant(mesh, INPUTS, ["batch", "length"])
        tokens = model("rd").decode(inputs, beam_size=2, alpha=0.6, max_decode_length=4)
        return {"tokens": tokens}

    whole = run(build)
    split = run(build, mesh_shape="batch:2;model:2", layout=BOTH)
    assert whole["tokens"].any()
    np.testing.assert_array_equal(split["tokens"], whole["tokens"])


# One layer is enough for all functions, and builds in a fraction of the time.


def layer(name, relative="bias"):
    return SyntheticAttention(
        VARIANTS[name](), HEADS, key_value_size=D_KV, relative_attention_type=relative
    )


def ids_of(packed):
    if packed:
        return lambda mesh: constant(mesh, IDS, ["batch", "length"])
    return lambda mesh: unpacked_ids(mesh, INPUTS)


@pytest.mark.parametrize(
    ("name", "packed"), [(name, True) for name in DISTINCT] + [(name, False) for name in GLOBAL]
)
def test_a_layer_on_eight_devices(name, packed):
    whole, split = (
        call_layer(layer(name), X, not packed, ids_of(packed), cotangent=COTANGENT, **mesh)
        for mesh in ({}, EIGHT)
    )
    assert_same_results(split, whole)


@pytest.mark.parametrize("name", DISTINCT)
def test_decoding_steps_on_eight_devices(name):
    """The full pass there is that of one device, by the tests above."""
    known = np.array([5, 4, 6, 6])
    result = decoded(lambda: layer(name), X[:, :7], known, **EIGHT)
    assert_steps_are_the_full_pass(result, known)
