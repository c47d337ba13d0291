"""Decode the lines of a text file in their order, and write the results after every batch."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_model
from mtf_synthesizer.files import locks
from mtf_synthesizer.inference import predict, text_lines
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import progress
from mtf_synthesizer.upstream import session, tasks
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import EOS

# Type of model -> ids after a line. A language model continues a line, so its line has no EOS.
_ENDS: Mapping[str, list[int]] = {
    "bitransformer": [EOS],
    "delimited_lm": [EOS],
    "lm": [],
}
_NAMED = 5  # largest number of lines that a message names


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
      (numbers of the cut lines, from 1) and decoded (number of lines that this call decoded).

    Raises:
      errors.UserError: a name, file, binding or checkpoint is wrong, the text is not UTF-8, the
        output exists or was begun with other settings, or another process writes it.
    """
    folder = ModelFolder.at(model_dir)
    configuration = for_model(folder, request)
    chosen = predict.chosen_checkpoint(folder, options.checkpoint)
    with (
        locks.hold_output(options.output),
        session.configured(configuration, options.verbose),
    ):
        text_lines.check_output(options.output)  # another process may have finished meanwhile
        trained = session.build(folder.path)
        errors.check("type of model for --input", trained.model_type, _ENDS)
        tasks.check_vocabulary(tasks.configured_task(), folder.path)
        encoder = Encoder.of(trained)
        seen = survey(lines, encoder)
        made_by = text_lines.made_by(lines, chosen.fingerprint, configuration)
        out = text_lines.Output(options.output, made_by)
        size = request.batch_size or trained.batch_size
        decode = _decoder(folder, trained, encoder, seen.longest, size, chosen.path)
        shown = progress.Progress(
            str(options.output), out.done, seen.count, options.show_progress, unit="line"
        )
        with contextlib.closing(shown), out:
            decoded = _write(out, lines, decode, size, shown)
    return {
        "model_dir": str(folder),
        "step": chosen.step,
        "output": str(options.output),
        "examples": seen.count,
        "decoded": decoded,
        "empty": seen.empty,
        "cut": seen.cut,
    }


def describe(result: Mapping[str, Any]) -> str:
    """Return a summary of `predict_lines`."""
    parts = [f"{result['examples']} lines of step {result['step']} written to {result['output']}"]
    if result["decoded"] < result["examples"] - result["empty"]:
        parts.append(f"{result['decoded']} decoded now, the others by an earlier attempt")
    if result["empty"]:
        parts.append(f"{result['empty']} empty, in input and output")
    if result["cut"]:
        shown = ", ".join(map(str, result["cut"][:_NAMED]))
        more = len(result["cut"]) - _NAMED
        parts.append(
            f"{len(result['cut'])} cut to the length of the model's inputs (line {shown}"
            f"{f' and {more} more' if more > 0 else ''}; --gin_param 'inputs_length = ...' sets "
            "another length)"
        )
    return "; ".join(parts)


@dataclasses.dataclass(frozen=True)
class Encoder:
    """The conversion of a line to tokens.

    Attributes:
      vocabulary: vocabulary of the inputs.
      ends: ids after the line.
      limit: largest number of tokens, ends included.
    """

    vocabulary: Any
    ends: Sequence[int]
    limit: int

    @classmethod
    def of(cls, model: Model) -> "Encoder":
        vocabulary = utils.inputs_vocabulary(model.vocabulary)
        return cls(vocabulary, _ENDS[model.model_type], model.sequence_length["inputs"])

    def ids(self, line: str) -> list[int]:
        """Return all tokens of a line."""
        return [*self.vocabulary.encode(line), *self.ends]

    def row(self, line: str, length: int) -> np.ndarray:
        """Return the tokens, int32 [length], cut before their ends or padded with 0."""
        ids = self.ids(line)
        if len(ids) > length:
            ids = [*ids[: length - len(self.ends)], *self.ends]
        return np.array(ids + [0] * (length - len(ids)), np.int32)


@dataclasses.dataclass(frozen=True)
class Survey:
    """Properties of a text, known before it is decoded.

    Attributes:
      count: number of lines.
      empty: number of empty lines.
      cut: numbers of the lines that are too long, from 1.
      longest: number of tokens of the longest line, after cutting.
    """

    count: int
    empty: int
    cut: list[int]
    longest: int


def survey(lines: Iterable[str], encoder: Encoder) -> Survey:
    """Measure the lines of a text; reads it once."""
    count = empty = longest = 0
    cut = []
    for count, line in enumerate(lines, 1):
        size = len(encoder.ids(line)) if line else 0
        empty += not line
        longest = max(longest, min(size, encoder.limit))
        if size > encoder.limit:
            cut.append(count)
    return Survey(count, empty, cut, longest)


Decode = Callable[[Iterable[str]], Iterator[str]]


def _decoder(
    folder: ModelFolder,
    trained: Model,
    encoder: Encoder,
    length: int,
    batch_size: int,
    checkpoint: str,
) -> Decode:
    """Return a function that decodes texts in batches."""

    def decode(texts: Iterable[str]) -> Iterator[str]:
        lengths = {**trained.sequence_length, "inputs": length}
        model = predict.decoding_model(folder, trained, lengths, batch_size)
        rows = (encoder.row(text, length) for text in texts)
        outputs = utils.decode(
            predict.FittingEstimator(model.estimator),
            _input_fn(rows, batch_size, length),
            model.vocabulary,
            checkpoint_path=checkpoint,
        )
        with contextlib.closing(outputs):
            for output in outputs:
                yield tf.compat.as_text(output)

    return decode


def _input_fn(
    rows: Iterator[np.ndarray], batch_size: int, length: int
) -> Callable[[Mapping[str, Any]], tf.data.Dataset]:
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


def _write(
    out: text_lines.Output,
    lines: text_lines.Lines,
    decode: Decode,
    batch_size: int,
    shown: progress.Progress,
) -> int:
    """Write the remaining lines; return the number of decoded lines."""
    # TensorFlow reads the next batch in another thread, so the text needs two readers.
    outputs = decode(line for line in itertools.islice(lines, out.done, None) if line)
    decoded = 0
    number = out.done
    for number, line in enumerate(itertools.islice(lines, out.done, None), out.done + 1):
        out.write(next(outputs) if line else "")
        decoded += bool(line)
        if line and decoded % batch_size == 0:
            shown.update(number)
            out.flush()
    if number > out.done:
        shown.update(number)
    return decoded
