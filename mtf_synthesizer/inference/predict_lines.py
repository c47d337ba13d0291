"""Decode the lines of a text file in their order, and write the results after every batch."""

import contextlib
import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer.config.request import Configuration, Request, for_model
from mtf_synthesizer.inference import cut_inputs, predict, sequences, text_lines, unknown
from mtf_synthesizer.inference.encoder import Encoder
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import progress
from mtf_synthesizer.upstream import session, tasks
from mtf_synthesizer.upstream.estimators import InputFn
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import EOS


def predict_lines(
    model_dir: str | os.PathLike[str] | ModelFolder,
    request: Request,
    lines: text_lines.Lines,
    options: predict.PredictOptions,
) -> dict[str, Any]:
    """Decode a text line by line: line n of the output is the decoded line n of the input.

    An empty line stays empty. A line with more tokens than the model's inputs is cut. The output
    is written after every batch, under a temporary name until it is complete. The same call
    resumes an interrupted attempt.

    Args:
      model_dir: folder of the model.
      request: changes to the configuration; its task is ignored.
      lines: inputs as the model's task feeds them, prefixes included.
      options: options of `predict`; split and examples are ignored, and output must not exist.

    Returns:
      model_dir, step, output, examples (number of lines), empty (number of empty lines), cut
      (numbers of the cut lines, from 1), decoded (number of lines that this call decoded) and
      unknown (an `unknown.Unknown`).

    Raises:
      errors.UserError: a name, file, binding or checkpoint is wrong, the text is not UTF-8, the
        output exists or was begun with other settings, or another process writes it.
    """
    folder = ModelFolder.at(model_dir)
    configuration = for_model(folder, request)
    chosen = predict.chosen_checkpoint(folder, options.checkpoint)
    with (
        text_lines.hold_output(options.output),
        session.configured(configuration, options.verbose),
    ):
        text_lines.check_output(options.output)  # another process may have finished meanwhile
        trained = session.build(folder.path)
        encoder = Encoder.of(trained)
        tasks.check_vocabulary(tasks.configured_task(), folder.path)
        if options.are_hypotheses:
            sequences.check(trained, options.sequences)
        seen = survey(lines, encoder)
        out = _output(lines, chosen.fingerprint, configuration, options)
        size = request.batch_size or trained.batch_size
        answer = _answer(options, chosen.path)
        length = predict.row_length(trained, seen.longest)
        decode = _decoder(folder, trained, encoder, length, size, answer)
        blank = "[]" if options.is_scored else ""
        shown = progress.Progress(
            str(options.output), out.done, seen.count, options.show_progress, unit="line"
        )
        with contextlib.closing(shown), out:
            decoded = _write(out, _answered(lines, decode, out.done, blank), size, shown)
    return {
        "model_dir": str(folder),
        "step": chosen.step,
        "output": str(options.output),
        "examples": seen.count,
        "decoded": decoded,
        "empty": seen.empty,
        "cut": seen.cut,
        "unknown": seen.unknown,
    }


def _output(
    lines: text_lines.Lines,
    fingerprint: str,
    configuration: Configuration,
    options: predict.PredictOptions,
) -> text_lines.Output | text_lines.Printed:
    if str(options.output) == text_lines.STANDARD:
        return text_lines.Printed()
    made_by = text_lines.made_by(
        lines,
        fingerprint,
        configuration,
        sequences=options.sequences if options.is_scored else None,
        seed=options.seed,
    )
    return text_lines.Output(options.output, made_by)


def describe(result: Mapping[str, Any]) -> str:
    """Return a summary of `predict_lines`."""
    parts = [f"{result['examples']} lines of step {result['step']} written to {result['output']}"]
    if result["decoded"] < result["examples"] - result["empty"]:
        parts.append(f"{result['decoded']} decoded now, the others by an earlier attempt")
    if result["empty"]:
        parts.append(f"{result['empty']} empty, in input and output")
    if result["cut"]:
        parts.append(cut_inputs.describe(result["cut"], "line"))
    if result["unknown"].tokens:
        parts.append(result["unknown"].describe("line"))
    return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class Survey:
    """Properties of a text, known before it is decoded.

    Attributes:
      count: number of lines.
      empty: number of empty lines.
      cut: numbers of the lines that are too long, from 1.
      longest: number of tokens of the longest line, after cutting.
      unknown: tokens that the vocabulary does not have.
    """

    count: int
    empty: int
    cut: list[int]
    longest: int
    unknown: unknown.Unknown


def survey(lines: Iterable[str], encoder: Encoder) -> Survey:
    """Measure the lines of a text; reads it once."""
    count = empty = longest = 0
    cut = []
    unknown_counts = unknown.Unknown()
    for count, line in enumerate(lines, 1):
        ids = encoder.ids(line) if line else []
        size = len(ids)
        if number := unknown.count(ids, encoder.vocabulary):
            unknown_counts += unknown.Unknown(number, [count])
        empty += not line
        longest = max(longest, min(size, encoder.limit))
        if size > encoder.limit:
            cut.append(count)
    return Survey(count, empty, cut, longest, unknown_counts)


Decode = Callable[[Iterable[str]], Iterator[str]]
Answer = Callable[[Model, InputFn], Iterator[str]]


def _answer(options: predict.PredictOptions, checkpoint: str) -> Answer:
    """A function from a model and rows to a line for each: the output, or JSON with scores."""

    def hypotheses(model: Model, rows: InputFn) -> Iterator[list[sequences.Hypothesis]]:
        written = sequences.written(model, rows, checkpoint, options.sequences, options.seed)
        with contextlib.closing(written):
            yield from written

    def texts(model: Model, rows: InputFn) -> Iterator[str]:
        estimator = predict.FittingEstimator(model.estimator)
        outputs = utils.decode(estimator, rows, model.vocabulary, checkpoint_path=checkpoint)
        with contextlib.closing(outputs):
            for output in outputs:
                yield tf.compat.as_text(output)

    def seeded(model: Model, rows: InputFn) -> Iterator[str]:
        for several in hypotheses(model, rows):
            yield several[0].output

    def scored(model: Model, rows: InputFn) -> Iterator[str]:
        for several in hypotheses(model, rows):
            yield json.dumps([hypothesis.record() for hypothesis in several], ensure_ascii=False)

    if options.is_scored:
        return scored
    return seeded if options.are_hypotheses else texts


def _decoder(
    folder: ModelFolder,
    trained: Model,
    encoder: Encoder,
    length: int,
    batch_size: int,
    answer: Answer,
) -> Decode:
    """Return a function that decodes texts in batches."""

    def decode(texts: Iterable[str]) -> Iterator[str]:
        model = predict.decoding_model(folder, trained, length, batch_size)
        rows = (encoder.row(text, length) for text in texts)
        yield from answer(model, _input_fn(rows, batch_size, length))

    return decode


def _input_fn(rows: Iterator[np.ndarray], batch_size: int, length: int) -> InputFn:
    """Return an Estimator input function that reads rows on demand and pads the last batch."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        while batch := list(itertools.islice(rows, batch_size)):
            padding = [np.zeros(length, np.int32)] * (batch_size - len(batch))
            yield {"inputs": np.stack([*batch, *padding])}

    def dataset(params: Mapping[str, Any]) -> tf.data.Dataset:
        del params
        signature = {"inputs": tf.TensorSpec([batch_size, length], tf.int32)}
        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    return dataset


def _answered(
    lines: text_lines.Lines, decode: Decode, done: int, blank: str
) -> Iterator[tuple[str, str]]:
    """Yield each line behind the first `done`, and its answer; `blank` for an empty line."""
    # TensorFlow reads the next batch in another thread, so the text needs two readers.
    outputs = decode(line for line in itertools.islice(lines, done, None) if line)
    for line in itertools.islice(lines, done, None):
        yield line, next(outputs) if line else blank


def _write(
    out: text_lines.Output | text_lines.Printed,
    answered: Iterable[tuple[str, str]],
    batch_size: int,
    shown: progress.Progress,
) -> int:
    """Write the answers; return the number of decoded lines."""
    decoded = 0
    number = out.done
    for number, (line, answer) in enumerate(answered, out.done + 1):
        out.write(answer)
        decoded += bool(line)
        if line and decoded % batch_size == 0:
            shown.update(number)
            out.flush()
    if number > out.done:
        shown.update(number)
    return decoded
