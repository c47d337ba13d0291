"""Several outputs for each input, with their scores."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.upstream import estimators, generation, graph
from mtf_synthesizer.upstream.graph import bound
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import EOS

_WRITERS = ("bitransformer", "delimited_lm", "lm")
_TEMPERATURES = {
    "bitransformer": "Bitransformer.decode.temperature",
    "delimited_lm": "Unitransformer.sample_autoregressive.temperature",
    "lm": "Unitransformer.sample_autoregressive.temperature",
}


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """An output with its scores.

    Attributes:
      output: the text.
      log_likelihood: sum of the log-probabilities of its tokens in nats, EOS included, whatever
        the decoding; by one pass over the whole output.
      tokens: number of its tokens, EOS included.
      is_finished: whether it ends with EOS, so that it was not cut at the longest length.
      beam_score: log_likelihood / ((5 + tokens) / 6)^alpha, which orders the outputs of a beam;
        None without beams, and of an unfinished output.
    """

    output: str
    log_likelihood: float
    tokens: int
    is_finished: bool
    beam_score: float | None = None

    def record(self) -> dict[str, Any]:
        """Return the fields of a JSON object."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}


def check(trained: Model, sequences: int) -> None:
    """Raise a UserError unless the configured decoding gives so many outputs for an input."""
    errors.check("type of model for --scores and n-best outputs", trained.model_type, _WRITERS)
    beams = generation.beam_size() if trained.model_type == "bitransformer" else 1
    samples = beams == 1 and float(bound(_TEMPERATURES[trained.model_type], None) or 0) > 0
    if sequences > 1 and not samples and sequences > beams:
        raise errors.UserError(
            f"--num_return_sequences {sequences}: the decoding writes {beams} for each input. Give "
            f"--decode beam --beam_size {sequences}, or --decode sample"
        )


def written(
    trained: Model,
    rows: estimators.InputFn,
    checkpoint: str,
    sequences: int,
    seed: int | None = None,
) -> Generator[list[Hypothesis]]:
    """Yield the outputs for each row of inputs, best first; samples in the order of drawing.

    A beam that ends with fewer finished outputs gives fewer.

    Args:
      trained: a model that `check` allows, for the lengths of the rows.
      rows: an Estimator input function of `inputs`, int32 [batch, length].
      checkpoint: path of the checkpoint.
      sequences: number of outputs for each row.
      seed: seed of the samples.
    """

    def compute(model: graph.Model, tensors: estimators.Tensors) -> estimators.Tensors:
        inputs = tensors["inputs"]
        result = generation.write(model, inputs, sequences, trained.sequence_length["targets"])
        scores = generation.log_likelihoods(model, result.inputs, result.ids)
        outputs = {"ids": result.ids, "log_likelihoods": scores}
        if result.beam_scores is not None:
            outputs["beam_scores"] = result.beam_scores
        return {"inputs": inputs} | {k: _grouped(v, sequences) for k, v in outputs.items()}

    with contextlib.closing(
        estimators.computed(trained, compute, rows, checkpoint, seed)
    ) as results:
        for row in results:
            yield _hypotheses(row, trained)


def _grouped(tensor: mtf.Tensor, count: int) -> mtf.Tensor:
    """Reshape [batch * count, ...] to [batch, count, ...]."""
    batch, *others = tensor.shape.dims
    dims = [mtf.Dimension(batch.name, batch.size // count), mtf.Dimension("sequence", count)]
    return mtf.reshape(tensor, mtf.Shape([*dims, *others]))


def _hypotheses(row: Mapping[str, np.ndarray], trained: Model) -> list[Hypothesis]:
    has_prefix = trained.model_type != "bitransformer"
    start = int(np.count_nonzero(row["inputs"])) if has_prefix else 0
    vocabulary = utils.targets_vocabulary(trained.vocabulary)
    beam_scores = row.get("beam_scores", [None] * len(row["ids"]))
    hypotheses = []
    for ids, scores, beam in zip(row["ids"], row["log_likelihoods"], beam_scores, strict=True):
        if beam is not None and beam < generation.UNFINISHED:
            continue
        own = _cut(ids[start:])
        is_finished = len(own) > 0 and bool(own[-1] == EOS)
        hypotheses.append(
            Hypothesis(
                output=vocabulary.decode([int(token) for token in own]),
                log_likelihood=float(scores[start : start + len(own)].sum(dtype=np.float64)),
                tokens=len(own),
                is_finished=is_finished,
                beam_score=float(beam) if beam is not None and is_finished else None,
            )
        )
    return hypotheses


def _cut(ids: np.ndarray) -> np.ndarray:
    """Cut behind the first EOS; without EOS, before the padding."""
    ends = np.flatnonzero(ids == EOS)
    return ids[: ends[0] + 1] if len(ends) else np.trim_zeros(ids, "b")
