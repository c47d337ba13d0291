"""Every synthesizing function between the decoder's and the encoder's positions."""

import gin
import mesh_tensorflow as mtf
import numpy as np
import pytest
import reference
from harness import (
    D_KV,
    D_MODEL,
    HEADS,
    assert_same_results,
    bitransformer,
    call_layer,
    constant,
    cross_attention,
    layer_context,
    run,
    weights_of,
)
from stepwise import END, likeliest_by_beam
from variants import LEARNED, TILED, VARIANTS, N

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.cross import SyntheticEncDecAttention
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct, Mixture, Random
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch, of_model

LENGTH, MEMORY = 7, 11
RNG = np.random.RandomState(0)
X, M = RNG.normal(size=(2, LENGTH, D_MODEL)), RNG.normal(size=(2, MEMORY, D_MODEL))
COTANGENT = RNG.normal(size=X.shape)
INPUTS = np.array([[3, 1, 4, 1, 5, 0, 0, 0, 0, 0, 0], [2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4]])
TARGETS = RNG.randint(2, 19, size=(2, LENGTH))
BANDED = {"banded mixture": lambda: Mixture([BandedRandom(N, 2), Random(N), DotProduct()])}
ALL = VARIANTS | {f"{name} tiled": make for name, make in TILED.items()} | LEARNED | BANDED
# Every leaf, a mixture of each kind, and tables shorter than the rows.
LEAVES = ("v", "r", "fix", "banded", "fr", "d", "fd", "toeplitz", "uniform")
NAMES = (
    *LEAVES,
    "rdv",
    "d_plus_v",
    "twice",
    "nested",
    "r tiled",
    "fd stretched tiled",
    "d learned",
    "banded mixture",
)


def layer(name, heads=HEADS):
    return SyntheticEncDecAttention(ALL[name](), num_heads=heads, key_value_size=D_KV)


def model(name, heads=HEADS):
    numbers = {"num_heads": heads, "key_value_size": D_KV}
    return bitransformer(
        lambda: SyntheticAttention(Random(N), **numbers),
        heads=heads,
        cross=lambda: layer(name, heads),
    )


def call(layer, x, memory, ids, memory_ids, cotangent, **options):
    """Values and gradients; ids: what the stack shows to the layer, made on the mesh."""

    def build(mesh):
        context = layer_context(mesh, *x.shape[:2], True, sequence_id=ids(mesh))
        inputs = constant(mesh, x.astype("f"), ["batch", "length", "d_model"])
        encoded = constant(mesh, memory.astype("f"), ["batch", "memory_length", "d_model"])
        context.encoder_output, context.encoder_sequence_id = encoded, memory_ids(mesh)
        y = layer.call(context, inputs)
        weight = constant(mesh, cotangent.astype("f"), ["batch", "length", "d_model"])
        objective = mtf.reduce_sum(y * weight)
        to_x, to_memory = mtf.gradients([objective], [inputs, encoded])
        grads = {"grad/x": to_x, "grad/memory": to_memory}
        return {"y": y, "objective": objective} | {k: v for k, v in grads.items() if v is not None}

    return run(build, gradients_of="objective", **options)


def whole_rows(tokens):
    """Ids as Mesh makes them for rows of one sequence."""

    def ids(mesh):
        inputs = constant(mesh, tokens, ["batch", "length"])
        found = mtf.minimum(inputs, 1)
        return mtf.layers.rename_length_to_memory_length(found)

    return ids


def whole_queries(mesh):
    return mtf.minimum(constant(mesh, TARGETS, ["batch", "length"]), 1)


def called(name, **options):
    return call(layer(name), X, M, whole_queries, whole_rows(INPUTS), COTANGENT, **options)


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients(name):
    """Also of rows whose encoder has padding; the derivative is a difference of the reference."""
    result = called(name)
    weights = {k: v.astype(np.float64) for k, v in weights_of(result).items()}
    sizes = (INPUTS > 0).sum(1)

    def values(weights):
        function = ALL[name]()
        each = zip(X, M, sizes, strict=True)
        return np.stack(
            [reference.attention(function, weights, x, HEADS, False, m[:n]) for x, m, n in each]
        )

    np.testing.assert_allclose(result["y"], values(weights), rtol=1e-4, atol=1e-5)
    trained = [k for k in weights if f"grad/{k}" in result]
    direction = {k: RNG.normal(size=weights[k].shape) for k in trained}
    ends = [
        np.sum(values(weights | {k: weights[k] + s * d for k, d in direction.items()}) * COTANGENT)
        for s in (-1e-5, 1e-5)
    ]
    got = sum(np.sum(result[f"grad/{k}"] * d) for k, d in direction.items())
    np.testing.assert_allclose(got, (ends[1] - ends[0]) / 2e-5, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["banded", "banded mixture"])
def test_queries_beyond_every_band_see_all_keys_alike(name):
    """The last queries have no key of a short encoder within 2 places."""
    tokens = np.where(np.arange(MEMORY) < 3, 5, np.zeros((2, 1), int))
    result = call(layer(name), X, M, whole_queries, whole_rows(tokens), COTANGENT)
    weights = weights_of(result)
    v, o = weights["v"].reshape(D_MODEL, HEADS, D_KV), weights["o"].reshape(HEADS, D_KV, D_MODEL)
    mean = np.einsum("bd,dhk,hkm->bm", M[:, :3].mean(1), v, o)
    np.testing.assert_allclose(result["y"][:, 5], mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result["y"][:, 6], mean, rtol=1e-4, atol=1e-4)
    assert np.abs(result["y"][:, 4] - mean).max() > 0.01  # sees the third key alone


def test_the_dot_product_is_that_of_t5():
    ours = called("v")
    weights = weights_of(ours)
    stock = call(
        cross_attention(HEADS), X, M, whole_queries, whole_rows(INPUTS), COTANGENT, weights=weights
    )
    for key in ours:
        np.testing.assert_allclose(ours[key], stock[key], rtol=1e-4, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_packed_is_alone(name):
    """Two pairs of sequences in one row, and in rows of their own."""
    queries, keys = ((0, 3), (3, 4)), ((0, 5), (5, 4))
    ids, memory_ids = np.repeat([1, 2, 0], (3, 4, 0)), np.repeat([1, 2, 0], (5, 4, 2))
    together = call(
        layer(name),
        X[:1],
        M[:1],
        lambda mesh: constant(mesh, ids[None], ["batch", "length"]),
        lambda mesh: constant(mesh, memory_ids[None], ["batch", "memory_length"]),
        COTANGENT[:1],
    )
    x, memory = np.full((2, LENGTH, D_MODEL), 7.0), np.full((2, MEMORY, D_MODEL), 7.0)
    cotangent, tokens, inputs = np.zeros_like(x), np.zeros((2, LENGTH)), np.zeros((2, MEMORY))
    for row, ((start, size), (first, count)) in enumerate(zip(queries, keys, strict=True)):
        x[row, :size], cotangent[row, :size] = (a[0, start : start + size] for a in (X, COTANGENT))
        memory[row, :count] = M[0, first : first + count]
        tokens[row, :size] = inputs[row, :count] = 1
    alone = call(
        layer(name),
        x,
        memory,
        lambda mesh: mtf.minimum(constant(mesh, tokens.astype(int), ["batch", "length"]), 1),
        whole_rows(inputs.astype(int)),
        cotangent,
    )
    for row, (start, size) in enumerate(queries):
        np.testing.assert_allclose(
            together["y"][0, start : start + size], alone["y"][row, :size], rtol=1e-4, atol=2e-5
        )
    for row, (start, size) in enumerate(keys):
        np.testing.assert_allclose(
            together["grad/memory"][0, start : start + size],
            alone["grad/memory"][row, :size],
            rtol=1e-4,
            atol=2e-5,
        )
    for key in together:
        if key.startswith("grad/") and key not in ("grad/x", "grad/memory"):
            np.testing.assert_allclose(together[key], alone[key], rtol=1e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("name", [*LEAVES, "rdv"])
def test_greedy_decoding_is_the_best_of_the_full_pass(name):
    def build(mesh):
        made = model(name)
        inputs = constant(mesh, INPUTS, ["batch", "length"])
        ids = made.decode(inputs, max_decode_length=LENGTH)
        return {"ids": ids, "logits": made.call_simple(inputs, ids, False)[0]}

    result = run(build, scale=0.7)
    best = np.argmax(result["logits"], axis=-1)
    for ids, full in zip(result["ids"], best, strict=True):
        end = np.flatnonzero(ids == END)
        size = end[0] + 1 if len(end) else LENGTH
        np.testing.assert_array_equal(ids[:size], full[:size])


@pytest.mark.parametrize("name", ["v", "r", "d", "toeplitz", "rdv"])
def test_beam_search_finds_the_likeliest_sequence(name):
    found, wanted = likeliest_by_beam(
        lambda: SyntheticAttention(Random(N), num_heads=HEADS, key_value_size=D_KV),
        lambda: layer(name),
    )
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["r", "d", "rdv"])
def test_on_four_devices(name):
    def loss(mesh):
        inputs, targets = (constant(mesh, t, ["batch", "length"]) for t in (INPUTS, TARGETS))
        return {"loss": model(name, 4).call_simple(inputs, targets, True)[1]}

    whole = run(loss, gradients_of="loss")
    split = run(loss, None, "batch:2;model:2", "batch:batch;heads:model", gradients_of="loss")
    assert_same_results(split, whole)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LEARNED])
def test_cost_is_that_of_the_graph(name, packed):
    made, batch = model(name), Batch(2, (MEMORY, LENGTH), packed)
    component = "decoder SyntheticEncDecAttention"
    counted = graph.of_model(made, batch)[component]
    parts = [part.cost for part in of_model(made, batch) if part.component == component]
    for number in ("parameters", "trainable_parameters", "forward_flops", "training_flops"):
        assert sum(getattr(part, number) for part in parts) == getattr(counted, number), number


@pytest.mark.parametrize("name", ["r", "fr", "banded", "toeplitz", "nested"])
def test_no_matrix_per_example_for_functions_of_positions(name):
    with mtf.utils.tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        context = layer_context(mesh, 2, LENGTH, True)
        context.encoder_output = constant(
            mesh, M.astype("f"), ["batch", "memory_length", "d_model"]
        )
        context.encoder_sequence_id = whole_rows(INPUTS)(mesh)
        layer(name).call(context, constant(mesh, X.astype("f"), ["batch", "length", "d_model"]))
        shapes = [set(t.shape.dimension_names) for op in mesh.graph.operations for t in op.outputs]
    assert not any({"batch", "length", "memory_length"} <= names for names in shapes)


def test_heads_with_functions_of_their_own():
    groups = Heads([Random(N), DotProduct()], (2, 1))
    made = SyntheticEncDecAttention(groups, num_heads=3, key_value_size=D_KV)
    result = call(made, X, M, whole_queries, whole_rows(np.ones_like(INPUTS)), COTANGENT)
    weights = weights_of(result)
    for row, (x, m) in enumerate(zip(X, M, strict=True)):
        wanted = np.zeros_like(x)
        for group, (function, size) in enumerate(zip(groups.functions, (2, 1), strict=True)):
            scope = f"heads_{group}/"
            own = {k.removeprefix(scope): v for k, v in weights.items() if k.startswith(scope)}
            wanted += reference.attention(function, own, x, size, False, m)
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-5)


def test_a_stack_without_an_encoder_is_refused():
    with pytest.raises(ValueError, match="SyntheticEncDecAttention needs an encoder"):
        call_layer(layer("r"), X)


def test_bindings_of_self_attention_give_no_relative_bias():
    with gin.unlock_config():
        gin.parse_config("SyntheticAttention.relative_attention_type = 'bias_shared'")
    try:
        assert SyntheticAttention().relative_attention_type == "bias_shared"
        assert SyntheticEncDecAttention().relative_attention_type is None
    finally:
        gin.clear_config()
