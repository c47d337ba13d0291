"""Edges of the layer: lengths, refusals, functions of one's own, recorded weights."""

import gin
import mesh_tensorflow as mtf
import numpy as np
import pytest
import reference
import tensorflow.compat.v1 as tf
from harness import D_KV, D_MODEL, HEADS, call_layer, constant, layer_context, run, unpacked_ids
from variants import GLOBAL, VARIANTS, N

from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention, recording
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    Mixture,
    Random,
    Sum,
    largest_divisor,
)


def layer(function, **options):
    return SyntheticAttention(function, **{"num_heads": HEADS, "key_value_size": D_KV, **options})


def inputs(length, batch=2):
    return np.random.RandomState(length).normal(size=(batch, length, D_MODEL))


@pytest.mark.parametrize("length", [1, N], ids=["one token", "as long as the tables"])
@pytest.mark.parametrize("name", VARIANTS)
def test_shortest_and_longest(name, length):
    function = VARIANTS[name]()
    x = inputs(length)
    result = call_layer(layer(function), x, autoregressive=True)
    weights = {k.removeprefix("weight/"): v for k, v in result.items()}
    wanted = [reference.attention(function, weights, row, HEADS, True) for row in x]
    np.testing.assert_allclose(result["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(VARIANTS.keys() - {"v", "toeplitz", "uniform"}))
def test_longer_than_the_tables_is_refused(name):
    with pytest.raises(ValueError, match=rf"length {N + 1} exceeds \w+.max_length = {N}.*Tile"):
        call_layer(layer(VARIANTS[name]()), inputs(N + 1))


def test_the_dot_product_has_no_longest_row():
    assert call_layer(layer(DotProduct()), inputs(N + 1))["y"].shape == (2, N + 1, D_MODEL)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_of_padding_is_finite(name):
    result = call_layer(
        layer(VARIANTS[name]()),
        inputs(7),
        sequence_id=lambda mesh: unpacked_ids(mesh, np.zeros((2, 7), np.int32)),
        cotangent=inputs(7),
    )
    assert all(np.all(np.isfinite(v)) for v in result.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layer(Random), r"synthesizer is <class.*parentheses: @Random\(\)"),
        (lambda: layer("random"), "synthesizer is 'random'"),
        (lambda: layer(None, dropout_rate=1.0), "dropout_rate is 1.0"),
        (lambda: layer(None, relative_attention_type="biased"), "'biased'; it must be one of"),
        (lambda: Mixture([]), r"Mixture.functions is \[\]"),
        (lambda: Sum([Random]), r"Sum.functions holds.*@Random\(\)"),
        (lambda: Mixture(Random()), "Mixture.functions is <"),
        (lambda: Random(0), "Random.max_length is 0"),
        (lambda: Dense(2.5), "Dense.max_length is 2.5"),
        (lambda: FactorizedRandom(rank=-1), "FactorizedRandom.rank is -1"),
        (lambda: FactorizedDense(12, a=5), "FactorizedDense.a is 5, which does not divide"),
    ],
)
def test_bad_values_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_heads": 6, "num_memory_heads": 4}, "num_memory_heads is 4, which does not divide"),
        ({"num_heads": 0}, "num_heads is 0"),
    ],
)
def test_bad_heads_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        call_layer(layer(DotProduct(), **options), inputs(5))


@pytest.mark.parametrize(
    "option",
    [
        "attention_func",
        "attention_kwargs",
        "keep_query_heads_dims",
        "z_loss_coeff",
        "use_hyperprompt",
    ],
)
def test_options_of_the_stock_layer_that_are_not_offered_are_refused(option):
    with pytest.raises(ValueError, match=option):
        gin.bind_parameter(f"SyntheticAttention.{option}", 1)


def test_ensembles_are_refused():
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        context = layer_context(mesh, 2, 5, False)
        context.model.ensemble_dim = mtf.Dimension("ensemble", 2)
        x = constant(mesh, inputs(5).astype(np.float32), ["batch", "length", "d_model"])
        with pytest.raises(ValueError, match="ensemble"):
            layer(DotProduct()).call(context, x)


class SameForAllQueries(SynthesizingFunction):
    """What the public "factorized" function does by mistake: no dimension for the query."""

    scope = "same_for_all_queries"

    def logits(self, context, x, view):
        shape = mtf.Shape([*view.heads, view.memory_length])
        return mtf.get_variable(
            context.mesh, "table", shape, initializer=tf.zeros_initializer(), dtype=tf.float32
        )


def test_a_missing_dimension_is_an_error_not_a_broadcast():
    with pytest.raises(ValueError, match=r"SameForAllQueries.logits returned .*length"):
        call_layer(layer(SameForAllQueries()), inputs(5))


@pytest.mark.parametrize("number, divisor", [(512, 16), (114, 6), (12, 3), (13, 1), (1, 1)])
def test_largest_divisor(number, divisor):
    assert largest_divisor(number) == divisor


@pytest.mark.parametrize("name", VARIANTS)
def test_recorded_weights_are_a_distribution(name):
    """They sum to 1 over visible keys, and mix the values to the layer's output."""

    def build(mesh):
        context = layer_context(mesh, 2, 7, True)
        x = constant(mesh, inputs(7).astype(np.float32), ["batch", "length", "d_model"])
        with recording() as recorded:
            layer(VARIANTS[name]()).call(context, x)
        (record,) = recorded
        names = ["heads", "length", "memory_length"]
        batch = [d for d in record.weights.shape.dims if d.name == "batch"]
        dims = batch + [record.weights.shape.get_dim_by_name(n) for n in names]
        return {"weights": mtf.transpose(record.weights, mtf.Shape(dims))}

    weights = run(build)["weights"]
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    assert np.all(np.triu(np.ones((7, 7)), 1) * weights == 0)
    assert weights.ndim == (3 if name in GLOBAL else 4)
