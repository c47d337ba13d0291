"""R+V pruned to heads: with α near 0 or 1 the pruned layer computes what the mixture computes."""

import numpy as np
import pytest
from harness import D_KV, D_MODEL, call_layer, weights_of
from variants import N

from mtf_synthesizer import errors
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import Dense, DotProduct, Mixture, Random
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.training.warm_start import prune

SCOPE = "encoder/block_000/layer_000/SyntheticAttention"
X = np.random.RandomState(0).normal(size=(2, 7, D_MODEL))


def layer(function, heads=3):
    return SyntheticAttention(
        function, num_heads=heads, key_value_size=D_KV, relative_attention_type="bias"
    )


class Reader(dict):
    get_tensor = dict.__getitem__


@pytest.mark.parametrize("keeps", [(1, 0, 1), (0, 0, 0), (1, 1, 1)], ids=str)
def test_the_pruned_layer_computes_the_same(keeps):
    alpha = np.array([[20.0, -20.0] if r else [-20.0, 20.0] for r in keeps])
    mixture = layer(Mixture([Random(N), DotProduct()]))
    before = call_layer(mixture, X, weights={"mixture/alpha": alpha})
    saved = {f"{SCOPE}/{name}": value for name, value in weights_of(before).items()}
    found = prune.layers(Reader(saved), {SCOPE: mixture})
    assert list(found[SCOPE].of_r) == [h for h, r in enumerate(keeps) if r]
    groups = {0: DotProduct(), 3: Random(N)}.get(sum(keeps))
    sizes = (sum(keeps), 3 - sum(keeps))
    pruned = layer(groups or Heads([Random(N), DotProduct()], sizes))
    built = {
        f"{SCOPE}/{name}": tuple(("", size) for size in value.shape)
        for name, value in weights_of(call_layer(pruned, X)).items()
    }
    shapes = {name: value.shape for name, value in saved.items()}
    plan = prune.plan("runs/rv", shapes, built, found)
    values = {e.name.removeprefix(f"{SCOPE}/"): e.change(saved[e.source]) for e in plan.entries}
    after = call_layer(pruned, X, weights=values)
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-4, atol=1e-5)
    assert f"{SCOPE}/mixture/alpha" in plan.dropped


def test_each_layer_has_its_own_numbers_of_heads():
    alphas = (np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.4, 0.6], [0.2, 0.8]]))
    places = [f"encoder/block_{n:03d}/layer_000/SyntheticAttention" for n in range(2)]
    found = {p: prune.PrunedLayer(a, True) for p, a in zip(places, alphas, strict=True)}
    text = prune.bindings(found, BoundValues(["sizes/tiny.gin", "synthesizers/rv.gin"], []))
    assert "encoder/block_000/Heads.sizes = [1, 1]" in text
    assert "encoder/block_001/SyntheticAttention.synthesizer = @DotProduct()" in text
    assert "[@encoder/block_001/mtf_synthesizer.SyntheticAttention, 'block_001/layer_000']" in text


def test_other_models_are_refused():
    for function in (Mixture([Dense(N), DotProduct()]), Random(N)):
        with pytest.raises(errors.UserError, match="is not a mixture of R and V"):
            prune.layers(Reader(), {SCOPE: layer(function)})
    with pytest.raises(errors.UserError, match="has one head"):
        prune.layers(Reader(), {SCOPE: layer(Mixture([Random(N), DotProduct()]), 1)})
