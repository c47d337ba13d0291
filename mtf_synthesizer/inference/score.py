"""Log-likelihoods of given targets, and the choice of the likeliest of several options."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_model
from mtf_synthesizer.inference import cut_inputs, predict, unknown
from mtf_synthesizer.inference.encoder import Encoder
from mtf_synthesizer.inference.records import write_lines
from mtf_synthesizer.inference.targets import GivenTargets
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import estimators, generation, graph, session, tasks
from mtf_synthesizer.upstream.examples import input_fn, padded
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import EOS

_SCORERS = ("bitransformer", "delimited_lm", "lm")


@dataclasses.dataclass(frozen=True)
class ScoreOptions:
    """The checkpoint that scores, and the form of the results.

    Attributes:
      output: file of JSON lines, or "-" for standard output.
      checkpoint: "latest", "best" or a step.
      ranks_by_token: whether options are compared by the mean of their tokens instead of the sum.
      each_token: whether the log-likelihood of each token is written, too.
      verbose: whether T5, Mesh and TensorFlow log.
    """

    output: str | os.PathLike[str]
    checkpoint: str | int = "latest"
    ranks_by_token: bool = False
    each_token: bool = False
    verbose: bool = False


@dataclasses.dataclass(frozen=True)
class EncodedTarget:
    """A target as the model reads it.

    Attributes:
      inputs: ids of the encoder, or of the text before the target.
      targets: ids of the target, EOS included.
    """

    inputs: list[int]
    targets: list[int]


def score(
    model_dir: str | os.PathLike[str] | ModelFolder,
    request: Request,
    questions: Sequence[GivenTargets],
    options: ScoreOptions,
) -> dict[str, Any]:
    """Compute the log-likelihood, in nats, of every target given its inputs.

    Writes a JSON object for each question: line, inputs, target, log_likelihood (the sum over the
    tokens, EOS included), tokens and log_likelihood_per_token; with each_token also
    token_log_likelihoods, pairs of piece and value. With several targets `options` has these fields
    for each of them, `choice` is the number of the likeliest, from 0, and `output` its text.

    Args:
      model_dir: folder of the model.
      request: changes to its configuration; its task is not read.
      questions: inputs and targets as the model's task gives them to the model.
      options: see above.

    Returns:
      model_dir, step, output, questions, targets, tokens (numbers of these), log_likelihood (the
      sum), cut (numbers of the lines whose inputs were cut) and unknown.

    Raises:
      errors.UserError: a file, binding or checkpoint is wrong, the model does not write from left
        to right, an encoder-decoder gets no inputs, or a target is longer than the model's.
    """
    folder = ModelFolder.at(model_dir)
    configuration = for_model(folder, request)
    chosen = predict.chosen_checkpoint(folder, options.checkpoint)
    with session.configured(configuration, options.verbose):
        trained = session.build(folder.path)
        errors.check("type of model for score", trained.model_type, _SCORERS)
        tasks.check_vocabulary(tasks.configured_task(), folder.path)
        encoded = _Encoded.of(questions, trained)
        size = request.batch_size or trained.batch_size
        values = [*log_likelihoods(folder, trained, encoded.rows, size, chosen.path)]
    vocabulary = utils.targets_vocabulary(trained.vocabulary)
    scored = [
        _scored(row.targets, value, vocabulary if options.each_token else None)
        for row, value in zip(encoded.rows, values, strict=True)
    ]
    write_lines(options.output, _records(questions, scored, options.ranks_by_token))
    return {
        "model_dir": str(folder),
        "step": chosen.step,
        "output": str(options.output),
        "questions": len(questions),
        "targets": len(scored),
        "tokens": sum(target["tokens"] for target in scored),
        "log_likelihood": sum(target["log_likelihood"] for target in scored),
        "cut": encoded.cut,
        "unknown": encoded.unknown,
    }


@dataclasses.dataclass(frozen=True)
class _Encoded:
    """Questions as ids, a row for each target."""

    rows: list[EncodedTarget]
    cut: list[int]
    unknown: unknown.Unknown

    @classmethod
    def of(cls, questions: Sequence[GivenTargets], trained: Model) -> _Encoded:
        encoder = Encoder.of(trained)
        vocabulary = utils.targets_vocabulary(trained.vocabulary)
        limit = trained.sequence_length["targets"]
        rows, cut, unknown_counts = [], [], unknown.Unknown()
        for question in questions:
            if question.inputs is None and trained.model_type != "lm":
                raise errors.UserError(
                    f"--input, line {question.line}: one column, but the model needs inputs and a "
                    "target. Separate them by a tab, or give --targets or --options"
                )
            inputs = [] if question.inputs is None else encoder.ids(question.inputs)
            if len(inputs) > encoder.limit:
                cut.append(question.line)
                inputs = encoder.cut(inputs)
            targets = [[*vocabulary.encode(text), EOS] for text in question.targets]
            if max(map(len, targets)) > limit:
                raise errors.UserError(
                    f"line {question.line}: a target of {max(map(len, targets))} tokens, but the "
                    f"model's have {limit} at most. --gin_param 'targets_length = ...' sets "
                    "another length"
                )
            rows += [EncodedTarget(inputs, target) for target in targets]
            number = unknown.count(inputs, encoder.vocabulary)
            number += sum(unknown.count(target, vocabulary) for target in targets)
            if number:
                unknown_counts += unknown.Unknown(number, [question.line])
        return cls(rows, cut, unknown_counts)


def log_likelihoods(
    folder: ModelFolder,
    trained: Model,
    rows: Sequence[EncodedTarget],
    batch_size: int,
    checkpoint: str,
) -> Iterator[np.ndarray]:
    """Yield the log-likelihood of each token of each target, in nats: float32 [tokens].

    Args:
      folder: folder of the model.
      trained: a model that writes from left to right.
      rows: inputs and targets.
      batch_size: number of rows in a pass.
      checkpoint: path of the checkpoint.
    """
    if trained.model_type == "bitransformer":
        features = {"inputs": [r.inputs for r in rows], "targets": [r.targets for r in rows]}
        starts = [0] * len(rows)
    else:
        features = {"targets": [[*r.inputs, *r.targets] for r in rows]}
        starts = [len(r.inputs) for r in rows]
    arrays = padded({name: _array(ids) for name, ids in features.items()}, batch_size)
    lengths = {**trained.sequence_length, **{k: v.shape[1] for k, v in arrays.items()}}
    model = session.build(folder.path, sequence_length=lengths, batch_size=batch_size)

    def compute(model: graph.Model, tensors: estimators.Tensors) -> estimators.Tensors:
        result = generation.log_likelihoods(model, tensors.get("inputs"), tensors["targets"])
        return {"log_likelihoods": result}

    results = estimators.computed(model, compute, input_fn(arrays, batch_size), checkpoint)
    for row, start, result in zip(rows, starts, results, strict=False):
        yield result["log_likelihoods"][start : start + len(row.targets)]


def _array(ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Return int32 [rows, length], padded with 0."""
    length = max(map(len, ids))
    return np.array([[*row, *[0] * (length - len(row))] for row in ids], np.int32)


def _scored(targets: Sequence[int], values: np.ndarray, vocabulary: Any) -> dict[str, Any]:
    """Return the fields of a target; those of each token if its vocabulary is given."""
    total = float(values.sum(dtype=np.float64))
    fields: dict[str, Any] = {
        "log_likelihood": total,
        "tokens": len(targets),
        "log_likelihood_per_token": total / len(targets),
    }
    if vocabulary is not None:
        fields["token_log_likelihoods"] = [
            [_piece(vocabulary, token), float(value)]
            for token, value in zip(targets, values, strict=True)
        ]
    return fields


def _piece(vocabulary: Any, token: int) -> str:
    """Return the text of a token, with SentencePiece's mark of a blank; "</s>" for EOS."""
    if token == EOS:
        return "</s>"
    tokenizer = getattr(getattr(vocabulary, "chosen", vocabulary), "tokenizer", None)
    if tokenizer is not None and token < tokenizer.GetPieceSize():
        return str(tokenizer.IdToPiece(token))
    return str(vocabulary.decode([token]))


def _records(
    questions: Sequence[GivenTargets], scored: Sequence[dict[str, Any]], by_token: bool
) -> Iterator[dict[str, Any]]:
    """Yield the object of each question."""
    fields = iter(scored)
    key = "log_likelihood_per_token" if by_token else "log_likelihood"
    for question in questions:
        record: dict[str, Any] = {"line": question.line}
        if question.inputs is not None:
            record["inputs"] = question.inputs
        targets = [{"target": text} | next(fields) for text in question.targets]
        if len(targets) == 1:
            yield record | targets[0]
        else:
            choice = max(range(len(targets)), key=lambda n: targets[n][key])
            yield record | {
                "options": targets,
                "choice": choice,
                "output": targets[choice]["target"],
            }


def describe(result: dict[str, Any]) -> str:
    """Return a summary of `score`, in a few sentences."""
    mean = result["log_likelihood"] / result["tokens"]
    parts = [
        f"{result['targets']} targets of {result['questions']} lines by step {result['step']} "
        f"written to {result['output']}: log-likelihood {result['log_likelihood']:.4f} nats in "
        f"{result['tokens']} tokens, {mean:.4f} per token"
    ]
    if result["cut"]:
        parts.append(cut_inputs.describe(result["cut"], "line"))
    if result["unknown"].tokens:
        parts.append(result["unknown"].describe("line"))
    return "; ".join(parts)
