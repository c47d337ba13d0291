"""The baselines: their papers' equations, packed rows, padding, decoding, devices, gradients."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from baseline_reference import dynamic_conv, light_conv, linformer
from harness import (
    D_KV,
    D_MODEL,
    HEADS,
    VOCAB,
    bitransformer,
    call_layer,
    constant,
    feed_forward,
    layer_context,
    run,
    unitransformer,
    unpacked_ids,
)
from mesh_tensorflow.transformer import transformer, transformer_layers, universal_transformer
from test_decoding import incremental

from mtf_synthesizer.baselines import DynamicConv, LightConv, Linformer

LENGTH, WIDTH, RANK = 11, 5, 3
BATCH = 2
X = np.random.RandomState(0).normal(size=(BATCH, LENGTH, D_MODEL))
COTANGENT = np.random.RandomState(1).normal(size=X.shape)
TOKENS = np.array([[3, 1, 4, 1, 5, 9, 2, 0, 0, 0, 0], [2] * LENGTH])
END = 1

CONVOLUTIONS = {"lightconv": LightConv, "dynconv": DynamicConv}
REFERENCE = {"lightconv": light_conv, "dynconv": dynamic_conv}
# Each layer with the stacks that it is for.
STACKED = [(name, causal) for name in CONVOLUTIONS for causal in (False, True)]
STACKED += [("linformer", False), ("linformer shared", False)]


def layer(name, **options):
    numbers = {"num_heads": HEADS, "key_value_size": D_KV, **options}
    if name in CONVOLUTIONS:
        return CONVOLUTIONS[name](**{"kernel_width": WIDTH, **numbers})
    shared = name.endswith("shared")
    return Linformer(**{"max_length": 13, "rank": RANK, "shared_heads": shared, **numbers})


def weights_of(result):
    return {k[len("weight/") :]: v for k, v in result.items() if k.startswith("weight/")}


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("width", [2, 4, 5, 9, 31])
@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_those_of_the_paper(name, causal, width, heads):
    """Widths below and above the length, odd and even."""
    result = call_layer(
        layer(name, kernel_width=width, num_heads=heads), X, autoregressive=causal, scale=1.0
    )
    for row in range(BATCH):
        wanted = REFERENCE[name](weights_of(result), X[row], heads, width, causal)
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("length", [1, 37, 67, 101])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_lengths_of_one_block_and_of_several(name, length):
    x = np.random.RandomState(2).normal(size=(1, length, D_MODEL))
    result = call_layer(layer(name), x)
    wanted = REFERENCE[name](weights_of(result), x[0], HEADS, WIDTH, False)
    np.testing.assert_allclose(result["y"][0], wanted, rtol=1e-4, atol=1e-4)


def test_a_kernel_worked_out_by_hand():
    """Halves of the position before and of the position itself, through projections that copy."""
    weights = {"v": np.eye(D_MODEL), "o": np.eye(D_MODEL), "gate": np.zeros((D_MODEL, D_MODEL))}
    result = call_layer(
        LightConv(num_heads=1, key_value_size=D_MODEL, kernel_width=2),
        X,
        autoregressive=True,
        weights=weights | {"kernel": np.zeros(2)},
    )
    before = np.concatenate([np.zeros((BATCH, 1, D_MODEL)), X[:, :-1]], axis=1)
    np.testing.assert_allclose(result["y"], 0.25 * (X + before), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("name", ["linformer", "linformer shared"])
def test_linformer_is_that_of_the_paper(name, heads):
    result = call_layer(layer(name, num_heads=heads), X)
    for row in range(BATCH):
        wanted = linformer(weights_of(result), X[row], heads, RANK)
        np.testing.assert_allclose(result["y"][row], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_gradients_are_slopes(name, causal):
    """Along a random direction of all variables, against the difference quotient."""
    options = {"autoregressive": causal, "cotangent": COTANGENT}
    result = call_layer(layer(name), X, **options)
    draw = np.random.RandomState(3)
    weights = weights_of(result)
    step = {k: 1e-3 * draw.normal(size=v.shape) for k, v in weights.items()}
    ahead, behind = (
        call_layer(
            layer(name), X, weights={k: v + s * step[k] for k, v in weights.items()}, **options
        )
        for s in (1, -1)
    )
    slope = (ahead["objective"] - behind["objective"]) / 2
    wanted = sum(np.sum(result[f"grad/{k}"] * step[k]) for k in weights)
    np.testing.assert_allclose(slope, wanted, rtol=0.02, atol=2e-3)


def packed(name, causal, **options):
    ids = np.repeat([1, 2, 0], (4, 5, 2))[None]
    real = (ids > 0)[:, :, None]
    return call_layer(
        layer(name, **options),
        X[:1] * real,
        autoregressive=causal,
        sequence_id=lambda mesh: constant(mesh, ids, ["batch", "length"]),
        cotangent=COTANGENT[:1] * real,
    )


def alone(name, causal, **options):
    """The two sequences as rows of their own, with garbage as padding on the right."""
    rows = np.full((2, LENGTH, D_MODEL), 7.0)
    cotangent, tokens = np.zeros_like(rows), np.zeros((2, LENGTH), np.int32)
    for row, (start, size) in enumerate([(0, 4), (4, 5)]):
        rows[row, :size] = X[0, start : start + size]
        cotangent[row, :size] = COTANGENT[0, start : start + size]
        tokens[row, :size] = 1
    return call_layer(
        layer(name, **options),
        rows,
        autoregressive=causal,
        sequence_id=lambda mesh: unpacked_ids(mesh, tokens),
        cotangent=cotangent,
    )


@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_packed_is_alone(name, causal, heads):
    together, apart = (f(name, causal, num_heads=heads) for f in (packed, alone))
    for key in ("y", "grad/x"):
        np.testing.assert_allclose(together[key][0, :4], apart[key][0, :4], rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(together[key][0, 4:9], apart[key][1, :5], rtol=1e-4, atol=2e-5)
    for key in together:
        if key.startswith("grad/") and key != "grad/x":
            np.testing.assert_allclose(together[key], apart[key], rtol=1e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_padding_is_as_if_it_were_not_there(name, causal):
    short = call_layer(layer(name), X[:1, :7], autoregressive=causal)
    padded = call_layer(
        layer(name),
        X,
        autoregressive=causal,
        sequence_id=lambda mesh: unpacked_ids(mesh, TOKENS),
    )
    np.testing.assert_allclose(padded["y"][0, :7], short["y"][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ids", ["padding", "packed"])
@pytest.mark.parametrize(("name", "causal"), STACKED)
def test_bfloat16_activations(name, causal, ids):
    makers = {
        "padding": lambda mesh: unpacked_ids(mesh, TOKENS),
        "packed": lambda mesh: constant(mesh, np.minimum(TOKENS, 1), ["batch", "length"]),
    }
    real = (TOKENS > 0)[:, :, None]
    exact, rough = (
        call_layer(
            layer(name),
            X * real,
            autoregressive=causal,
            sequence_id=makers[ids],
            cotangent=COTANGENT * real,
            activation_dtype=dtype,
        )
        for dtype in (tf.float32, tf.bfloat16)
    )
    for key in exact:
        if key == "y" or key.startswith("grad/"):
            a, b = (r[key] * (real if key in ("y", "grad/x") else 1) for r in (exact, rough))
            assert np.linalg.norm(a - b) < 0.06 * np.linalg.norm(a) + 1e-6, key


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_dropped_weights_are_scaled_up_and_only_in_training(name):
    """Kernels of zeros weigh all alike: a fifth each, or none, or a quarter more."""
    weights = {"v": np.eye(D_MODEL), "o": np.eye(D_MODEL), "gate": np.zeros((D_MODEL, D_MODEL))}
    shape = [WIDTH] if name == "lightconv" else [D_MODEL, WIDTH]
    x = np.zeros((1, 29, D_MODEL))
    x[0, ::WIDTH] = 1.0  # each window holds one of them

    def outputs(mode):
        dropping = CONVOLUTIONS[name](1, D_MODEL, WIDTH, dropout_rate=0.2)
        given = weights | {"kernel": np.zeros(shape)}
        return call_layer(dropping, x, mode=mode, weights=given)["y"][0, 2:-2]

    np.testing.assert_allclose(outputs("eval"), 0.5 / WIDTH, rtol=1e-5)
    trained = np.concatenate([outputs("train").ravel() for _ in range(6)])
    values = np.unique(np.round(trained, 5))
    assert set(values) <= {0.0, np.round(np.float32(0.5 / WIDTH / 0.8), 5)}
    assert len(values) == 2


def decoded(name, **options):
    """Outputs of every position, full pass and step by step from partial sequences."""
    known_sizes = np.array([3, 2])

    def build(mesh):
        dims = ["batch", "length", "d_model"]
        full = layer_context(mesh, BATCH, LENGTH, True)
        outputs = {"full": layer(name, **options).call(full, constant(mesh, X.astype("f"), dims))}
        # What comes behind the partial sequences is garbage that decoding must not read.
        known = np.arange(LENGTH)[None, :, None] < known_sizes[:, None, None]
        first = layer_context(mesh, BATCH, LENGTH, True, mode="first_part")
        first.new_states = []
        first.initial_position = constant(mesh, known_sizes, ["batch"])
        given = constant(mesh, np.where(known, X, 9.0).astype("f"), dims)
        outputs["first"] = layer(name, **options).call(first, given)
        states = first.new_states
        outputs["cache"] = mtf.constant(mesh, sum(s.shape.size for s in states), dtype=tf.int32)
        for step in range(LENGTH - known_sizes.max()):
            at = known_sizes + step
            now = constant(mesh, X[np.arange(BATCH), at].astype("f"), ["batch", "d_model"])
            context = incremental(mesh, full, constant(mesh, at, ["batch"]), states)
            outputs[f"step {step}"] = layer(name, **options).call(context, now)
            states = context.new_states
        return outputs

    return known_sizes, run(build)


@pytest.mark.parametrize("width", [2, 5, 31])
@pytest.mark.parametrize("heads", [HEADS, 1])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_steps_are_the_full_pass(name, heads, width):
    sizes, result = decoded(name, num_heads=heads, kernel_width=width)
    for row, size in enumerate(sizes):
        np.testing.assert_allclose(
            result["first"][row, :size], result["full"][row, :size], rtol=1e-4, atol=1e-5
        )
    for step in range(LENGTH - sizes.max()):
        wanted = result["full"][np.arange(BATCH), sizes + step]
        np.testing.assert_allclose(result[f"step {step}"], wanted, rtol=1e-4, atol=1e-5)
    assert result["cache"] == BATCH * (width - 1) * heads * D_KV


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_greedy_language_model_is_the_best_of_the_full_pass(name):
    prefix = np.array([[3, 5, 4, 6, 8, 9, 2, 0], [7, 2, 0, 0, 0, 0, 0, 0]])

    def build(mesh):
        model = unitransformer([layer(name), feed_forward(), layer(name)], name="lm")
        partial = constant(mesh, prefix, ["batch", "length"])
        ids = model.sample_autoregressive(partial, never_end=True)
        logits, _ = model.call_simple(transformer.autoregressive_inputs(ids), ids, False)
        return {"ids": ids, "logits": logits}

    result = run(build, scale=1.0)
    result["logits"][:, :, END] = -np.inf
    best = np.argmax(result["logits"], axis=-1)
    decoded_here = prefix == 0
    np.testing.assert_array_equal(result["ids"][decoded_here], best[decoded_here])


def test_universal_transformer_of_mesh_decodes_what_the_full_pass_says():
    """The numbers of baselines/universal.gin with fewer steps: positions halt one by one."""
    prefix = np.array([[3, 5, 4, 0, 0, 0, 0], [7, 2, 0, 0, 0, 0, 0]])

    def build(mesh):
        layers = [transformer_layers.SelfAttention(HEADS, key_value_size=D_KV), feed_forward()]
        for number, part in enumerate(layers):
            part.set_name(f"layer_{number:03d}")
        model = unitransformer([], name="lm")
        unused = dict.fromkeys(("gates_inputs", "gate_ffn_layer", "gating_type"))
        model.layer_stack = universal_transformer.UTLayerStack(
            layers,
            recurrence_type="act",
            act_type="basic",
            act_max_steps=3,
            act_epsilon=0.5,
            num_rec_steps=3,
            num_inrecurrence_layers=1,
            position_start_index=None,
            add_or_concat_timing_signal="add",
            step_timing_signal_type="learned",
            add_position_timing_signal=False,
            add_step_timing_signal=True,
            mix_with_transformer_before_ut=False,
            mix_with_transformer_after_ut=False,
            use_gated_transformer=False,
            **unused,
        )
        partial = constant(mesh, prefix, ["batch", "length"])
        ids = model.sample_autoregressive(partial, never_end=True)
        logits, _ = model.call_simple(transformer.autoregressive_inputs(ids), ids, False)
        return {"ids": ids, "logits": logits}

    result = run(build, scale=0.7)
    result["logits"][:, :, END] = -np.inf
    best = np.argmax(result["logits"], axis=-1)
    np.testing.assert_array_equal(result["ids"][prefix == 0], best[prefix == 0])


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_beam_search_finds_the_likeliest_sequence(name):
    """With a beam of the whole vocabulary, against all sequences of two tokens and an end."""
    inputs = np.array([[5, 6, 7, 0]])
    first = np.arange(VOCAB)
    pairs = np.stack([first, np.full(VOCAB, END)], axis=1)

    def build(mesh):
        model = bitransformer(lambda: layer(name))
        tokens = constant(mesh, inputs, ["batch", "length"])
        ids = model.decode(tokens, beam_size=VOCAB, alpha=0.0, max_decode_length=2)
        many = constant(mesh, np.tile(inputs, [VOCAB, 1]), ["batch", "length"])
        targets = constant(mesh, np.maximum(pairs, 1), ["batch", "length"])
        return {"ids": ids, "logits": model.call_simple(many, targets, False)[0]}

    result = run(build, scale=0.7)
    logits = result["logits"].astype(np.float64)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    scores = logp[first, 0, first] + logp[:, 1, END]
    scores[0] = -np.inf  # padding is no token
    scores[END] = logp[0, 0, END]
    best = int(np.argmax(scores))
    np.testing.assert_array_equal(result["ids"][0], [END, 0] if best == END else [best, END])


def loss_of(name, is_packed):
    rng = np.random.RandomState(0)
    tokens = rng.randint(1, VOCAB, size=(4, 8))
    tokens[0, 5:] = 0
    ids = np.array([[1] * 3 + [2] * 5, [1] * 8, [1] * 2 + [2] * 4 + [0] * 2, [1] * 4 + [2] * 4])
    options = {"num_heads": 2, "dropout_rate": 0.0}

    def build(mesh):
        inputs = constant(mesh, tokens, ["batch", "length"])
        segments = constant(mesh, ids, ["batch", "length"]) if is_packed else None
        if name in CONVOLUTIONS:
            model = bitransformer(lambda: layer(name, **options), heads=2)
            kinds = ("encoder_sequence_id", "decoder_sequence_id") if is_packed else ()
            given = dict.fromkeys(kinds, segments)
            return {"loss": model.call_simple(inputs, inputs, True, **given)[1]}
        model = unitransformer([layer(name, **options), feed_forward()], False, name="encoder")
        segments = segments or mtf.minimum(inputs, 1)
        output = model.call_simple(inputs, None, False, sequence_id=segments)[0]
        return {"loss": mtf.reduce_sum(output * mtf.cast(mtf.not_equal(segments, 0), tf.float32))}

    return build


@pytest.mark.parametrize("is_packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", [*CONVOLUTIONS, "linformer"])
def test_two_devices(name, is_packed):
    whole = run(loss_of(name, is_packed), gradients_of="loss")
    for layout in ("batch:all", "heads:all"):
        split = run(
            loss_of(name, is_packed), gradients_of="loss", mesh_shape="all:2", layout=layout
        )
        assert set(split) == set(whole)
        for key in whole:
            np.testing.assert_allclose(split[key], whole[key], rtol=1e-4, atol=5e-5, err_msg=key)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_layout_that_splits_the_length_is_refused(name):
    with pytest.raises(ValueError, match="take length out of the layout rules"):
        call_layer(layer(name), X[:, :8], mesh_shape="all:2", layout="length:all")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_prefix_language_models_are_refused(name):
    def build(mesh):
        model = unitransformer([layer(name)], name="lm", input_full_attention=True)
        ids = constant(mesh, TOKENS, ["batch", "length"])
        return {"logits": model.call_simple(ids, ids, False)[0]}

    with pytest.raises(ValueError, match="input_full_attention False"):
        run(build)


def test_linformer_refuses_decoders_and_long_rows():
    with pytest.raises(ValueError, match="Linformer is for encoders"):
        call_layer(layer("linformer"), X, autoregressive=True)
    with pytest.raises(ValueError, match=r"length 11 is beyond Linformer\.max_length = 7"):
        call_layer(layer("linformer", max_length=7), X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LightConv(kernel_width=1), "LightConv.kernel_width is 1; it must be at least 2"),
        (lambda: DynamicConv(num_heads=0), "DynamicConv.num_heads is 0"),
        (lambda: DynamicConv(dropout_rate=1.0), "DynamicConv.dropout_rate is 1.0"),
        (lambda: Linformer(rank=0), "Linformer.rank is 0; it must be at least 1"),
        (lambda: Linformer(dropout_rate=-0.1), "Linformer.dropout_rate is -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", [*CONVOLUTIONS, "linformer"])
def test_recomputed_layers_have_the_same_gradients(name):
    """`LayerStack.recompute_grads` on packed rows, whose masks the layers share."""
    ids = np.repeat([1, 2, 0], (4, 5, 2))[None]
    tokens = np.random.RandomState(4).randint(2, VOCAB, size=(1, LENGTH)) * (ids > 0)

    def gradients(recompute):
        def build(mesh):
            model = unitransformer(
                [layer(name), feed_forward(), layer(name)], False, name="encoder"
            )
            model.layer_stack._recompute_grads = recompute
            segments = constant(mesh, ids, ["batch", "length"])
            inputs = constant(mesh, tokens, ["batch", "length"])
            output = model.call_simple(inputs, None, False, sequence_id=segments, mode="train")[0]
            weight = constant(mesh, COTANGENT[0, 0].astype("f"), ["d_model"])
            return {"loss": mtf.reduce_sum(output * weight)}

        return run(build, gradients_of="loss")

    plain, recomputed = gradients(False), gradients(True)
    assert set(plain) == set(recomputed)
    for key in plain:
        np.testing.assert_allclose(recomputed[key], plain[key], rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_microbatches_add_up(name):
    """Inside Mesh's loop, whose body has the convolution's gradient too."""
    tokens = np.random.RandomState(5).randint(1, VOCAB, size=(4, 7))

    def loss(given):
        ids, microbatches = given["ids"], 4 // given["ids"].shape.dims[0].size
        model = bitransformer(lambda: layer(name))
        options = {"num_microbatches": microbatches}
        return {"loss": model.call_simple(ids, ids, True, **options)[1]}

    def build(mesh):
        features = {"ids": constant(mesh, tokens, ["batch", "length"])}
        grads, outputs = mtf.serialize_training_step(features, loss, mtf.Dimension("batch", 4), 2)
        named = zip(mesh.graph.trainable_variables, grads, strict=True)
        return {"loss": outputs["loss"], **{f"grad/{v.name}": g for v, g in named}}

    def whole(mesh):
        return loss({"ids": constant(mesh, tokens, ["batch", "length"])})

    parts, plain = run(build), run(whole, gradients_of="loss")
    assert set(parts) == set(plain)
    for key in plain:
        np.testing.assert_allclose(parts[key], plain[key], rtol=1e-4, atol=2e-5, err_msg=key)
