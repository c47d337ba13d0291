"""Decoding, beside the full pass over the same positions."""

from __future__ import annotations

from collections.abc import Callable

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from harness import VOCAB, Layer, bitransformer, constant, layer_context, run
from mesh_tensorflow.transformer import transformer

END = 1  # the token that ends a sequence


def decoded(
    layer: Callable[[], Layer], x: np.ndarray, known: np.ndarray, **run_options: str
) -> dict[str, np.ndarray]:
    """Outputs of one layer for all positions, and step by step from partial sequences.

    Args:
      layer: makes the layer.
      x: [batch, length, d_model].
      known: sizes of the partial sequences.
      run_options: mesh_shape and layout of `harness.run`.

    Returns:
      "full" and "first" [batch, length, d_model], "step 0" and so on [batch, d_model] for the
      positions known + 0 and so on, and "cache", how many numbers the first part keeps.
    """
    batch, length, _ = x.shape
    dims = ["batch", "length", "d_model"]

    def build(mesh):
        full = layer_context(mesh, batch, length, True)
        outputs = {"full": layer().call(full, constant(mesh, x.astype("f"), dims))}
        # What comes behind the partial sequences is garbage that decoding must not read.
        there = np.arange(length)[None, :, None] < known[:, None, None]
        first = layer_context(mesh, batch, length, True, mode="first_part")
        first.new_states = []
        first.initial_position = constant(mesh, known, ["batch"])
        given = constant(mesh, np.where(there, x, 9.0).astype("f"), dims)
        outputs["first"] = layer().call(first, given)
        states = first.new_states
        outputs["cache"] = mtf.constant(mesh, sum(s.shape.size for s in states), dtype=tf.int32)
        for step in range(length - known.max()):
            at = known + step
            now = constant(mesh, x[np.arange(batch), at].astype("f"), ["batch", "d_model"])
            context = _one_step(mesh, full, constant(mesh, at, ["batch"]), states)
            outputs[f"step {step}"] = layer().call(context, now)
            states = context.new_states
        return outputs

    return run(build, **run_options)


def assert_steps_are_the_full_pass(result: dict[str, np.ndarray], known: np.ndarray) -> None:
    """Of what `decoded` returns."""
    batch, length, _ = result["full"].shape
    for row, size in enumerate(known):
        np.testing.assert_allclose(
            result["first"][row, :size], result["full"][row, :size], rtol=1e-4, atol=1e-5
        )
    for step in range(length - known.max()):
        wanted = result["full"][np.arange(batch), known + step]
        np.testing.assert_allclose(result[f"step {step}"], wanted, rtol=1e-4, atol=1e-5)


def tokens_of(
    model: Callable[[], transformer.Unitransformer],
    prefix: np.ndarray,
    scale: float = 1.0,
    **decode,
) -> dict[str, np.ndarray]:
    """What a language model decodes after a prefix, and the full pass over it.

    Returns:
      "ids" [batch, length]; "logits" of the full pass over them, with none for the end, which is
      not decoded here; and "best", their argmax.
    """

    def build(mesh):
        made = model()
        partial = constant(mesh, prefix, ["batch", "length"])
        ids = made.sample_autoregressive(partial, never_end=True, **decode)
        logits, _ = made.call_simple(transformer.autoregressive_inputs(ids), ids, False)
        return {"ids": ids, "logits": logits}

    result = run(build, scale=scale)
    result["logits"][:, :, END] = -np.inf
    result["best"] = np.argmax(result["logits"], axis=-1)
    return result


def likeliest_by_beam(
    layer: Callable[[], Layer], cross: Callable[[], Layer] | None = None
) -> tuple[np.ndarray, list[int]]:
    """What beam search finds with a beam of the whole vocabulary, and what it should find.

    That is the best of all sequences of two tokens and an end, by the full pass.
    """
    inputs = np.array([[5, 6, 7, 0]])
    first = np.arange(VOCAB)
    pairs = np.stack([first, np.full(VOCAB, END)], axis=1)

    def build(mesh):
        model = bitransformer(layer, cross=cross)
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
    return result["ids"][0], [END, 0] if best == END else [best, END]


def _one_step(mesh, full, position, states):
    """The context of one decoding step at `position`, an int32 tensor [batch]."""
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
