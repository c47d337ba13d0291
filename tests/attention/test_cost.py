"""Parameters and FLOPs: by formula, from the graph, by hand, and those of the paper."""

import collections

import harness
import mesh_tensorflow as mtf
import pytest
from mesh_tensorflow.transformer import transformer, transformer_layers
from variants import TILED, VARIANTS, N

from mtf_synthesizer.attention.cost import Cost, NoFormula, Sizes, weights
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.baselines.convolutions import DynamicConv, LightConv
from mtf_synthesizer.baselines.linformer import Linformer
from mtf_synthesizer.baselines.mixer import TokenMixing
from mtf_synthesizer.baselines.raganato import FixedPatterns
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch, of_model

BATCH, INPUTS, TARGETS = 2, 11, 7
BOTH = Batch(BATCH, (INPUTS, TARGETS))
ONE = Batch(BATCH, (INPUTS,))
SIZES = Sizes(BATCH, INPUTS, harness.D_MODEL, harness.D_KV, harness.HEADS, harness.HEADS)


def attention(name, functions=VARIANTS, **options):
    options = {"num_heads": harness.HEADS, "key_value_size": harness.D_KV} | options
    return lambda: SyntheticAttention(functions[name](), **options)


def decoder(layers, **options):
    return harness.unitransformer(layers, name="decoder", **options)


def numbers(cost):
    return (
        cost.parameters,
        cost.trainable_parameters,
        cost.forward_flops,
        cost.training_flops,
    )


def check(model, batch):
    """Formula and graph agree for each component; returns the total."""
    by_formula = collections.defaultdict(Cost)
    for part in of_model(model, batch):
        by_formula[part.component] += part.cost
    by_formula = {name: numbers(cost) for name, cost in by_formula.items() if any(numbers(cost))}
    counted = {name: numbers(cost) for name, cost in graph.of_model(model, batch).items()}
    assert by_formula == counted
    return Cost(*map(sum, zip(*counted.values(), strict=True)))


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("name", VARIANTS)
def test_encoder_and_decoder(name, packed):
    model = harness.bitransformer(attention(name))
    check(model, Batch(BATCH, (INPUTS, TARGETS), packed))


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("name", VARIANTS)
def test_decoder_only(name, packed):
    check(decoder([attention(name)()]), Batch(BATCH, (INPUTS,), packed))


HEADS = {
    "one": {"num_heads": 1},
    "multi-query": {"num_memory_heads": 1},
    "grouped": {"num_heads": 6, "num_memory_heads": 3},
}


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("name", VARIANTS)
def test_heads(name, heads):
    check(decoder([attention(name, **HEADS[heads])()]), ONE)


OPTIONS = HEADS | {
    "shared kv": {"shared_kv": True},
    "bias": {"relative_attention_type": "bias"},
    "shared bias": {"relative_attention_type": "bias_shared"},
    "contextual bias": {"relative_attention_type": "contextual"},
    "extra logit": {"extra_logit": 0.0},
    "dropout": {"dropout_rate": 0.1},
    "multi-query, dropout": {"num_memory_heads": 1, "dropout_rate": 0.1},
    "separate dimensions": {"combine_dims": False, "fold_scaling_into_initializer": False},
}


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in HEADS])
@pytest.mark.parametrize("name", ["r", "fix", "twice", "d_plus_v"])
def test_options_of_the_layer(name, option):
    layer = attention(name, **OPTIONS[option])
    check(decoder([layer(), layer()]), ONE)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("name", TILED)
def test_tables_shorter_than_rows(name, packed):
    check(decoder([attention(name, TILED)()]), Batch(BATCH, (INPUTS,), packed))


@pytest.mark.parametrize("tied", [False, True])
def test_softmax(tied):
    layers = [attention("r")(), harness.feed_forward()]
    total = check(decoder(layers, shared_embedding_and_softmax_weights=tied), ONE)
    width, heads, d_kv = harness.D_MODEL, harness.HEADS, harness.D_KV
    attended = heads * (N * N + 2 * width * d_kv)
    embeddings = (1 if tied else 2) * harness.VOCAB * width
    assert total.parameters == attended + 2 * width * harness.D_FF + 3 * width + embeddings
    matrices = 2 * width * heads * d_kv + 2 * width * harness.D_FF + harness.VOCAB * width
    mixing = BATCH * heads * INPUTS * INPUTS * d_kv
    assert total.forward_flops == 2 * (BATCH * INPUTS * matrices + mixing)


def encoder_and_decoder(encoding, decoding, **options):
    encoder = harness.unitransformer([encoding], autoregressive=False, name="encoder")
    decoding = [*decoding, harness.cross_attention(harness.HEADS)]
    return transformer.Bitransformer(encoder, decoder(decoding, **options))


def test_what_needs_the_general_path():
    extra = attention("r", extra_logit=0.0)()
    plain = attention("r")()
    check(encoder_and_decoder(extra, [plain]), BOTH)
    check(encoder_and_decoder(plain, [plain], input_full_attention=True), BOTH)


class Offsets(SynthesizingFunction):
    """S[h, i, j] = w[h, j]: the same for all rows, packed or not."""

    scope = "offsets"

    def logits(self, context, x, view):
        shape = mtf.Shape([*view.heads, view.memory_length])
        w = mtf.get_variable(context.mesh, "w", shape, dtype=context.variable_dtype)
        return mtf.broadcast(w, shape + view.length)

    def cost(self, sizes):
        return weights(sizes.heads, sizes.length)


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
def test_a_formula_of_ones_own(packed):
    layer = SyntheticAttention(Offsets(), num_heads=3, key_value_size=harness.D_KV)
    model = encoder_and_decoder(layer, [])
    check(model, Batch(BATCH, (INPUTS, TARGETS), packed))


@pytest.mark.parametrize("option", [o for o in OPTIONS if o != "extra logit"])
def test_stock_layer(option):
    options = {"num_heads": 3, "key_value_size": harness.D_KV} | OPTIONS[option]
    model = harness.bitransformer(lambda: transformer_layers.SelfAttention(**options), layers=2)
    check(model, BOTH)


@pytest.mark.parametrize("activation", ["relu", ["gelu", "linear"]])
@pytest.mark.parametrize("bias", [False, True])
def test_feed_forward(activation, bias):
    layer = transformer_layers.DenseReluDense(
        harness.D_FF, dropout_rate=0.1, activation=activation, use_bias=bias
    )
    check(harness.unitransformer([attention("d")(), layer]), ONE)


BASELINES = {
    "lightconv": lambda: LightConv(harness.HEADS, harness.D_KV, kernel_width=5),
    "dynconv": lambda: DynamicConv(harness.HEADS, harness.D_KV, kernel_width=5),
    "dynconv, one head": lambda: DynamicConv(1, harness.D_KV, kernel_width=4, dropout_rate=0.1),
    "linformer": lambda: Linformer(N, 2, num_heads=harness.HEADS, key_value_size=harness.D_KV),
    "linformer, shared": lambda: Linformer(N, 2, True, harness.HEADS, harness.D_KV, 0.1),
    "linformer, one head": lambda: Linformer(N, 2, num_heads=1, key_value_size=harness.D_KV),
    "mixer": lambda: TokenMixing(N, num_heads=harness.HEADS, key_value_size=harness.D_KV),
    "mixer, one head": lambda: TokenMixing(N, None, 1, harness.D_KV, 0.1),
    "raganato": lambda: SyntheticAttention(
        FixedPatterns(), num_heads=8, key_value_size=harness.D_KV
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["whole", "packed"])
@pytest.mark.parametrize("name", BASELINES)
def test_baselines(name, packed):
    model = encoder_and_decoder(BASELINES[name](), [])
    check(model, Batch(BATCH, (INPUTS, TARGETS), packed))


def test_a_fixed_table_is_stored_and_not_trained():
    fixed = VARIANTS["fix"]().cost(SIZES)
    assert (fixed.parameters, fixed.trainable_parameters) == (SIZES.heads * N * N, 0)


def test_every_function_has_a_formula():
    for function in SynthesizingFunction.__subclasses__():
        if function.__module__.startswith("mtf_synthesizer"):
            assert "cost" in vars(function), function


def test_a_function_without_a_formula_is_named():
    class Silent(SynthesizingFunction):
        def logits(self, context, x, view):
            return VARIANTS["r"]().logits(context, x, view)

    model = decoder([SyntheticAttention(Silent(), num_heads=3, key_value_size=5)])
    with pytest.raises(NoFormula, match="Silent has no formula"):
        of_model(model, ONE)
    assert numbers(graph.of_model(model, ONE)["decoder SyntheticAttention"])
