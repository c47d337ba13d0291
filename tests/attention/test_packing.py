"""A sequence gets the same attention packed with others as alone, in values and gradients."""

import pytest
from harness import D_KV, HEADS
from packed_rows import alone, assert_same, packed
from variants import LEARNED, TILED, VARIANTS

from mtf_synthesizer.attention.layer import SyntheticAttention

ALL = VARIANTS | {f"{name} tiled": make for name, make in TILED.items()} | LEARNED


def layer(make, **options):
    numbers = {"num_heads": HEADS, "key_value_size": D_KV, **options}
    return SyntheticAttention(make(), relative_attention_type="bias_shared", **numbers)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", ALL)
def test_packed_is_alone(name, causal):
    assert_same(*(rows(layer(ALL[name]), causal) for rows in (packed, alone)))


@pytest.mark.parametrize("heads", [(6, 3), (3, 1)], ids=["memory heads", "multi-query"])
@pytest.mark.parametrize("name", ["r", "d", "fd", "frv"])
def test_packed_is_alone_with_fewer_memory_heads(name, heads):
    options = dict(zip(("num_heads", "num_memory_heads"), heads, strict=True))
    assert_same(*(rows(layer(VARIANTS[name], **options), True) for rows in (packed, alone)))
