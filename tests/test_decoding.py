"""Incremental decoding gives what the full pass gives, and caches no more than it needs."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import (
    D_KV,
    D_MODEL,
    HEADS,
    VOCAB,
    bitransformer,
    constant,
    feed_forward,
    layer_context,
    run,
    unitransformer,
)
from mesh_tensorflow.transformer import transformer
from variants import TILED, VARIANTS, N

from mtf_synthesizer.attention import SyntheticAttention

BATCH, LENGTH = 2, 7
PREFIX = np.array([3, 2])  # partial sequences of different lengths
X = np.random.RandomState(0).normal(size=(BATCH, LENGTH, D_MODEL)).astype(np.float32)
END = 1  # the token that ends a sequence
ALL = VARIANTS | {f"{name} tiled": make for name, make in TILED.items()}


def layer(make, **options):
    numbers = {"num_heads": HEADS, "key_value_size": D_KV, **options}
    return SyntheticAttention(make(), relative_attention_type="bias", **numbers)


def incremental(mesh, full, position, states):
    """The context of one decoding step at `position`, an int32 tensor [batch] or []."""
    return transformer.Context(
        model=full.model,
        mesh=mesh,
        batch_dims=full.batch_dims,
        length_dim=full.length_dim,
        variable_dtype=full.variable_dtype,
        mode="incremental",
        position=position,
        states=states,
        new_states=[],
        write_priority=full.write_priority,
        read_priority=position,
    )


def decoded(make, **options):
    """Outputs of every position, full pass and step by step from partial sequences."""

    def build(mesh):
        x = constant(mesh, X, ["batch", "length", "d_model"])
        full = layer_context(mesh, BATCH, LENGTH, True)
        outputs = {"full": layer(make, **options).call(full, x)}
        # What comes behind the partial sequences is garbage that decoding must overwrite.
        known = np.arange(LENGTH)[None, :, None] < PREFIX[:, None, None]
        first = layer_context(mesh, BATCH, LENGTH, True, mode="first_part")
        first.new_states = []
        outputs["first"] = layer(make, **options).call(
            first, constant(mesh, np.where(known, X, 9.0), ["batch", "length", "d_model"])
        )
        states = first.new_states
        outputs["cache"] = mtf.constant(mesh, sum(s.shape.size for s in states), dtype=tf.int32)
        for step in range(LENGTH - PREFIX.max()):
            rows = np.arange(BATCH)
            now = constant(mesh, X[rows, PREFIX + step], ["batch", "d_model"])
            context = incremental(mesh, full, constant(mesh, PREFIX + step, ["batch"]), states)
            outputs[f"step {step}"] = layer(make, **options).call(context, now)
            states = context.new_states
        return outputs

    return run(build)


@pytest.mark.parametrize("name", ALL)
def test_steps_are_the_full_pass(name):
    result = decoded(ALL[name])
    for row, size in enumerate(PREFIX):
        np.testing.assert_allclose(
            result["first"][row, :size], result["full"][row, :size], rtol=1e-4, atol=1e-5
        )
    for step in range(LENGTH - PREFIX.max()):
        wanted = result["full"][np.arange(BATCH), PREFIX + step]
        np.testing.assert_allclose(result[f"step {step}"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["r", "d", "fd", "rv"])
def test_steps_are_the_full_pass_with_fewer_memory_heads(name):
    for heads in ({"num_heads": 1}, {"num_memory_heads": 1}):
        result = decoded(VARIANTS[name], **heads)
        wanted = result["full"][np.arange(BATCH), PREFIX]
        np.testing.assert_allclose(result["step 0"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "tensors"), [("r", 1), ("d", 1), ("v", 2), ("rv", 2), ("rdv", 2), ("fr", 1)]
)
def test_cache_holds_only_what_is_needed(name, tensors):
    """Values for a layer without dot product; keys and values with it."""
    result = decoded(VARIANTS[name])
    assert result["cache"] == tensors * BATCH * LENGTH * HEADS * D_KV


def tokens_of(make, prefix, input_full_attention=False, **decode):
    """Tokens decoded by a language model, and logits of the full pass over them."""

    def build(mesh):
        model = unitransformer(
            [layer(make), feed_forward(), layer(make)],
            name="lm",
            input_full_attention=input_full_attention,
        )
        partial = constant(mesh, prefix, ["batch", "length"])
        ids = model.sample_autoregressive(partial, never_end=True, **decode)
        logits, _ = model.call_simple(transformer.autoregressive_inputs(ids), ids, False)
        return {"ids": ids, "logits": logits}

    return run(build, scale=1.0)


@pytest.mark.parametrize("name", VARIANTS)
def test_greedy_language_model_is_the_best_of_the_full_pass(name):
    prefix = np.array([[3, 5, 0, 0, 0, 0, 0, 0], [7, 2, 0, 0, 0, 0, 0, 0]])
    result = tokens_of(VARIANTS[name], prefix)
    result["logits"][:, :, END] = -np.inf
    best = np.argmax(result["logits"], axis=-1)
    np.testing.assert_array_equal(result["ids"][:, :2], prefix[:, :2])
    np.testing.assert_array_equal(result["ids"][:, 2:], best[:, 2:])


@pytest.mark.parametrize("name", ["r", "fr", "d", "fd"])
def test_rows_that_are_full_wait_for_the_others(name):
    """Mesh goes on counting their positions, beyond the end of the tables."""
    prefix = np.zeros((2, N), np.int32)
    prefix[0, : N - 1], prefix[1, :2] = 3, 4
    result = tokens_of(VARIANTS[name], prefix)
    result["logits"][:, :, END] = -np.inf
    best = np.argmax(result["logits"], axis=-1)
    assert result["ids"][0, -1] == best[0, -1]
    np.testing.assert_array_equal(result["ids"][1, 2:], best[1, 2:])


@pytest.mark.parametrize("name", ["v", "r", "fr", "d", "fd", "rdv"])
def test_prefix_language_model_decodes_what_the_full_pass_says(name):
    """Inputs up to the first end see each other, in the full pass and in the first part."""
    prefix = np.array([[3, 5, END, 0, 0, 0, 0, 0], [7, 2, END, 0, 0, 0, 0, 0]])
    result = tokens_of(VARIANTS[name], prefix, input_full_attention=True)
    result["logits"][:, :, END] = -np.inf
    best = np.argmax(result["logits"], axis=-1)
    np.testing.assert_array_equal(result["ids"][:, 3:], best[:, 3:])


@pytest.mark.parametrize("name", ["v", "r", "fr", "d", "fd", "rdv"])
def test_sampling_takes_likely_tokens(name):
    prefix = np.zeros((2, 8), np.int32)
    result = tokens_of(VARIANTS[name], prefix, temperature=0.1, sampling_keep_top_k=2)
    logits = result["logits"]
    logits[:, :, END] = -np.inf
    rank = (logits > np.take_along_axis(logits, result["ids"][..., None], -1)).sum(-1)
    assert rank.max() <= 2


@pytest.mark.parametrize("name", ["v", "r", "d", "fd", "frv", "rdv"])
def test_beam_search_finds_the_likeliest_sequence(name):
    """With a beam of the whole vocabulary, against all sequences of two tokens and an end."""
    inputs = np.array([[5, 6, 7, 0]])
    first = np.arange(VOCAB)
    all_pairs = np.stack([first, np.full(VOCAB, END)], axis=1)

    def build(mesh):
        model = bitransformer(lambda: layer(VARIANTS[name]))
        tokens = constant(mesh, inputs, ["batch", "length"])
        ids = model.decode(tokens, beam_size=VOCAB, alpha=0.0, max_decode_length=2)
        many = constant(mesh, np.tile(inputs, [VOCAB, 1]), ["batch", "length"])
        targets = constant(mesh, np.maximum(all_pairs, 1), ["batch", "length"])
        return {"ids": ids, "logits": model.call_simple(many, targets, False)[0]}

    result = run(build, scale=0.7)
    logits = result["logits"].astype(np.float64)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    scores = logp[first, 0, first] + logp[:, 1, END]
    scores[0] = -np.inf  # padding is no token
    scores[END] = logp[0, 0, END]
    best = int(np.argmax(scores))
    np.testing.assert_array_equal(result["ids"][0], [END, 0] if best == END else [best, END])
