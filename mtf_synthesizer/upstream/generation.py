"""Sequences that a trained model writes, several for each input, as token ids."""

from __future__ import annotations

from typing import Any, NamedTuple
from unittest import mock

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import transformer, utils

from mtf_synthesizer.upstream.graph import Model, bound

BEAM_SIZE = "Bitransformer.decode.beam_size"
UNFINISHED = -1e6  # Mesh gives an empty place of a beam a score near -1e7


class Written(NamedTuple):
    """Sequences that a model has written.

    Attributes:
      inputs: int32 [batch * sequences, length], the inputs of each sequence; None for a model with
        a single stack.
      ids: int32 [batch * sequences, length]. A single stack begins each sequence with its inputs.
      beam_scores: float32 [batch * sequences], the log-likelihood divided by
        ((5 + tokens) / 6)^alpha; None without beams.
    """

    inputs: mtf.Tensor | None
    ids: mtf.Tensor
    beam_scores: mtf.Tensor | None


def beam_size() -> int:
    """Return the number of beams that the configuration decodes with; 1 without beams."""
    return int(bound(BEAM_SIZE, None) or 1)


def write(model: Model, inputs: mtf.Tensor, sequences: int, targets_length: int) -> Written:
    """Decode as gin configures it, by beams or token by token.

    Args:
      model: a model that writes from left to right.
      inputs: int32 [batch, length].
      sequences: number of sequences for each row: the best of a beam, best first, or samples.
      targets_length: the most tokens that a single stack adds to its inputs.
    """
    dtype = utils.get_variable_dtype()
    rows = _repeated(inputs, sequences)
    if not isinstance(model, transformer.Bitransformer):
        rows = mtf.pad(rows, [0, targets_length], "length")
        return Written(None, model.sample_autoregressive(rows, variable_dtype=dtype), None)
    if beam_size() == 1:
        return Written(rows, model.decode(rows, variable_dtype=dtype), None)
    beams, scores = _beams(model, inputs, dtype)
    return Written(rows, _first(beams, sequences), _first(scores, sequences))


def _beams(
    model: transformer.Bitransformer, inputs: mtf.Tensor, dtype: mtf.VariableDType
) -> tuple[mtf.Tensor, mtf.Tensor]:
    """Return ids [batch, beam, length] and scores [batch, beam]; Mesh returns the best id only."""
    search, results = mtf.beam_search.beam_search, []

    def remembered(*args: Any, **options: Any) -> tuple[mtf.Tensor, mtf.Tensor]:
        results.append(search(*args, **options))
        return results[0]

    with mock.patch.object(mtf.beam_search, "beam_search", remembered):
        model.decode(inputs, variable_dtype=dtype)
    (result,) = results
    return result


def _first(tensor: mtf.Tensor, count: int) -> mtf.Tensor:
    """Turn the first `count` beams of [batch, beam, ...] into rows [batch * count, ...]."""
    batch, beam, *others = tensor.shape.dims
    kept = mtf.slice(tensor, 0, count, beam.name)
    return mtf.reshape(kept, mtf.Shape([mtf.Dimension(batch.name, batch.size * count), *others]))


def _repeated(inputs: mtf.Tensor, count: int) -> mtf.Tensor:
    """Repeat each row of [batch, length]: [batch * count, length]."""
    if count == 1:
        return inputs
    batch, length = inputs.shape.dims
    several = mtf.broadcast(inputs, mtf.Shape([batch, mtf.Dimension("sequence", count), length]))
    return mtf.reshape(several, mtf.Shape([mtf.Dimension(batch.name, batch.size * count), length]))


def log_likelihoods(model: Model, inputs: mtf.Tensor | None, targets: mtf.Tensor) -> mtf.Tensor:
    """Return the log-likelihood of each token in nats, by one pass over the whole sequences.

    Args:
      model: a model that writes from left to right.
      inputs: int32 [batch, length] of the encoder; None for a model with a single stack.
      targets: int32 [batch, length].

    Returns:
      float32 [batch, length]; without meaning where targets are padding.
    """
    logits, _ = model.call_simple(
        inputs=transformer.autoregressive_inputs(targets) if inputs is None else inputs,
        targets=targets,
        compute_loss=False,
        mode="score",
        variable_dtype=utils.get_variable_dtype(),
    )
    logits = mtf.to_float(logits)
    vocabulary = logits.shape.dims[-1]
    return -mtf.layers.softmax_cross_entropy_with_logits(logits, targets, vocabulary)
