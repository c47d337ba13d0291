"""A sequence gets the same attention packed with others as alone, in values and gradients."""

import numpy as np
import pytest
from harness import D_KV, D_MODEL, HEADS, call_layer, constant, unpacked_ids
from variants import TILED, VARIANTS

from mtf_synthesizer.attention import SyntheticAttention

LENGTH = 11
SEQUENCES = (4, 5, 2)  # the last one is the padding of a packed row
IDS = np.repeat([1, 2, 0], SEQUENCES)[None]
X = np.random.RandomState(0).normal(size=(1, LENGTH, D_MODEL))
COTANGENT = np.random.RandomState(1).normal(size=X.shape)
ALL = VARIANTS | {f"{name} tiled": make for name, make in TILED.items()}


def layer(make, **options):
    numbers = {"num_heads": HEADS, "key_value_size": D_KV, **options}
    return SyntheticAttention(make(), relative_attention_type="bias_shared", **numbers)


def packed(make, causal, **options):
    real = (IDS > 0)[:, :, None]
    return call_layer(
        layer(make, **options),
        X * real,
        autoregressive=causal,
        sequence_id=lambda mesh: constant(mesh, IDS, ["batch", "length"]),
        cotangent=COTANGENT * real,
    )


def alone(make, causal, **options):
    """The two sequences as rows of their own, padded on the right."""
    rows = np.zeros((2, LENGTH, D_MODEL))
    cotangent, tokens = np.zeros_like(rows), np.zeros((2, LENGTH), np.int32)
    for row, (start, size) in enumerate([(0, 4), (4, 5)]):
        rows[row, :size] = X[0, start : start + size]
        cotangent[row, :size] = COTANGENT[0, start : start + size]
        tokens[row, :size] = 1
    return call_layer(
        layer(make, **options),
        rows,
        autoregressive=causal,
        sequence_id=lambda mesh: unpacked_ids(mesh, tokens),
        cotangent=cotangent,
    )


def assert_same(together, apart):
    for key in ("y", "grad/x"):
        np.testing.assert_allclose(together[key][0, :4], apart[key][0, :4], rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(together[key][0, 4:9], apart[key][1, :5], rtol=1e-4, atol=2e-5)
    for key in together:
        if key.startswith("grad/") and key != "grad/x":
            np.testing.assert_allclose(together[key], apart[key], rtol=1e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", ALL)
def test_packed_is_alone(name, causal):
    assert_same(packed(ALL[name], causal), alone(ALL[name], causal))


@pytest.mark.parametrize("heads", [(6, 3), (3, 1)], ids=["memory heads", "multi-query"])
@pytest.mark.parametrize("name", ["r", "d", "fd", "frv"])
def test_packed_is_alone_with_fewer_memory_heads(name, heads):
    options = dict(zip(("num_heads", "num_memory_heads"), heads, strict=True))
    assert_same(packed(VARIANTS[name], True, **options), alone(VARIANTS[name], True, **options))
