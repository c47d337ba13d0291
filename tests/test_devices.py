"""The same loss and gradients on one device and on two, whatever the layout splits."""

import numpy as np
import pytest
from harness import D_KV, bitransformer, constant, run
from variants import VARIANTS

from mtf_synthesizer.attention import SyntheticAttention

RNG = np.random.RandomState(0)
INPUTS = RNG.randint(1, 19, size=(4, 8))
TARGETS = RNG.randint(1, 19, size=(4, 6))
INPUTS[0, 5:] = 0
IDS = np.array([[1] * 3 + [2] * 5, [1] * 8, [1] * 2 + [2] * 4 + [0] * 2, [1] * 4 + [2] * 4])
LAYOUTS = ["batch:all", "heads:all"]


def loss_of(name, packed):
    def build(mesh):
        ids = {}
        if packed:
            ids["encoder_sequence_id"] = constant(mesh, IDS, ["batch", "length"])
        model = bitransformer(
            lambda: SyntheticAttention(
                VARIANTS[name](),
                num_heads=2,
                key_value_size=D_KV,
                relative_attention_type="bias_shared",
            ),
            heads=2,
        )
        inputs, targets = (constant(mesh, t, ["batch", "length"]) for t in (INPUTS, TARGETS))
        return {"loss": model.call_simple(inputs, targets, True, **ids)[1]}

    return build


@pytest.fixture(scope="module")
def one_device():
    results = {}

    def result(name, packed):
        if (name, packed) not in results:
            results[name, packed] = run(loss_of(name, packed), gradients_of="loss")
        return results[name, packed]

    return result


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_two_devices(one_device, name, layout, packed):
    split = run(loss_of(name, packed), gradients_of="loss", mesh_shape="all:2", layout=layout)
    whole = one_device(name, packed)
    assert set(split) == set(whole)
    for key in whole:
        np.testing.assert_allclose(split[key], whole[key], rtol=1e-4, atol=2e-5, err_msg=key)


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", ["v", "r", "rdv"])
def test_keys_on_two_devices(one_device, name, packed):
    """The softmax then takes its maximum and its sum over both."""
    layout = "memory_length:all"
    split = run(loss_of(name, packed), gradients_of="loss", mesh_shape="all:2", layout=layout)
    whole = one_device(name, packed)
    for key in whole:
        np.testing.assert_allclose(split[key], whole[key], rtol=1e-4, atol=2e-5, err_msg=key)
