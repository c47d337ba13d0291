"""Heads with functions of their own: the sum of smaller layers, in everything that a layer does."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import reference
from harness import (
    D_KV,
    D_MODEL,
    assert_same_results,
    bitransformer,
    call_layer,
    constant,
    layer_context,
    run,
    unpacked_ids,
    weights_of,
)
from packed_rows import alone, assert_same, packed
from stepwise import assert_steps_are_the_full_pass, decoded
from variants import N

from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.layer import SyntheticAttention, recording
from mtf_synthesizer.attention.synthesizers import Dense, DotProduct, Mixture, Random
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch, of_model

FUNCTIONS = (Random(N), DotProduct(), Mixture([Random(N), Dense(N)]), DotProduct())
SIZES = (2, 1, 2, 2)
TOKENS = np.array([[3, 1, 4, 1, 5, 0, 0], [2, 7, 1, 8, 2, 8, 1]])
REAL = (TOKENS > 0)[:, :, None]
X = np.random.RandomState(0).normal(size=(2, 7, D_MODEL)) * REAL
COTANGENT = np.random.RandomState(1).normal(size=X.shape) * REAL


def layer(functions=FUNCTIONS, sizes=SIZES, **options):
    options = {"num_heads": sum(sizes), "key_value_size": D_KV, **options}
    return SyntheticAttention(Heads(list(functions), sizes), **options)


def expected(weights, x, causal):
    total = np.zeros_like(x)
    for group, (function, size) in enumerate(zip(FUNCTIONS, SIZES, strict=True)):
        scope = f"heads_{group}/"
        own = {k.removeprefix(scope): v for k, v in weights.items() if k.startswith(scope)}
        total += reference.attention(function, own, x, size, causal)
    return total


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_values_and_gradients(causal):
    ids = {"sequence_id": lambda mesh: unpacked_ids(mesh, TOKENS)}
    result = call_layer(layer(), X, causal, cotangent=COTANGENT, **ids)
    weights = {k: v.astype(np.float64) for k, v in weights_of(result).items()}

    def values(weights):
        return [expected(weights, x[:size], causal) for x, size in zip(X, (5, 7), strict=True)]

    for found, wanted in zip(result["y"], values(weights), strict=True):
        np.testing.assert_allclose(found[: len(wanted)], wanted, rtol=1e-4, atol=1e-5)
    direction = {k: np.random.RandomState(2).normal(size=v.shape) for k, v in weights.items()}
    slopes = [
        sum(
            np.sum(y * c[: len(y)])
            for y, c in zip(
                values({k: v + sign * 1e-5 * direction[k] for k, v in weights.items()}),
                COTANGENT,
                strict=True,
            )
        )
        for sign in (-1, 1)
    ]
    got = sum(np.sum(result[f"grad/{k}"] * d) for k, d in direction.items())
    np.testing.assert_allclose(got, (slopes[1] - slopes[0]) / 2e-5, rtol=2e-3)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
def test_packed_is_alone(causal):
    biased = layer(relative_attention_type="bias_shared")
    assert_same(packed(biased, causal), alone(biased, causal))


def test_steps_are_the_full_pass():
    known = np.array([3, 5])
    result = decoded(lambda: layer(relative_attention_type="bias"), X, known)
    assert_steps_are_the_full_pass(result, known)


def test_on_four_devices():
    def attention():
        functions = [Random(N), DotProduct()]
        return layer(functions, (2, 2), relative_attention_type="bias_shared")

    def loss(mesh):
        tokens = constant(mesh, TOKENS, ["batch", "length"])
        return {"loss": bitransformer(attention, heads=4).call_simple(tokens, tokens, True)[1]}

    whole = run(loss, gradients_of="loss")
    split = run(loss, None, "batch:2;model:2", "batch:batch;heads:model", gradients_of="loss")
    assert_same_results(split, whole)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
def test_cost_is_that_of_the_graph(packed):
    model = bitransformer(lambda: layer(relative_attention_type="bias"), heads=sum(SIZES))
    batch = Batch(2, (11, 7), packed)
    counted = graph.of_model(model, batch)
    for stack in ("encoder", "decoder"):
        component = f"{stack} SyntheticAttention"
        parts = [part.cost for part in of_model(model, batch) if part.component == component]
        for number in ("parameters", "forward_flops", "training_flops"):
            total = sum(getattr(part, number) for part in parts)
            assert total == getattr(counted[component], number), (component, number)


def shapes(functions):
    """How many tensors of a layer have an attention matrix for each example."""
    with mtf.utils.tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        context = layer_context(mesh, 2, 7, False, sequence_id=unpacked_ids(mesh, TOKENS))
        x = constant(mesh, X.astype("f"), ["batch", "length", "d_model"])
        layer(functions, (2, 1)).call(context, x)
        matrices = {"batch", "length", "memory_length"}
        tensors = [t for operation in mesh.graph.operations for t in operation.outputs]
        return [t.shape for t in tensors if matrices <= set(t.shape.dimension_names)]


def test_heads_that_need_no_matrix_per_example_have_none():
    assert shapes([Random(N), Random(N)]) == []
    both = shapes([Random(N), DotProduct()])
    assert both and not any("heads" in shape.dimension_names for shape in both)


@pytest.mark.parametrize("functions", [FUNCTIONS[:2], (Random(N), Random(N))])
def test_recorded_as_one_layer(functions):
    recorded = []

    def build(mesh):
        context = layer_context(mesh, 2, 7, False, sequence_id=unpacked_ids(mesh, TOKENS))
        x = constant(mesh, X.astype("f"), ["batch", "length", "d_model"])
        with recording() as records:
            layer(functions, (2, 1)).call(context, x)
        recorded.extend(records)
        return {"weights": records[0].weights}

    weights = run(build)["weights"]
    assert len(recorded) == 1
    per_example = functions != (Random(N), Random(N)) and any(
        isinstance(each, DotProduct) for each in functions
    )
    assert weights.shape == ((2, 3, 7, 7) if per_example else (3, 7, 7))
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    if per_example:
        assert np.all(weights[0, :, :, 5:] < 1e-6)


def test_equal_parts_unless_sizes_are_given():
    assert Heads([Random(N), DotProduct()]).sizes(6) == (3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layer(sizes=(2, 1)), "Heads.functions has 4 functions"),
        (lambda: layer(num_heads=8), "SyntheticAttention.num_heads is 8"),
        (lambda: layer(sizes=(2, 1, 4, 0)), "Heads.sizes is 0"),
        (lambda: layer(num_memory_heads=1), "num_memory_heads is 1"),
        (lambda: Heads([Random]), "Heads.functions holds"),
        (lambda: SyntheticAttention(Heads(list(FUNCTIONS)), num_heads=6), r"\[1, 1, 1, 1\] heads"),
    ],
)
def test_what_does_not_belong_together_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
