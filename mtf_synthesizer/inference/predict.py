"""Decode with a checkpoint of a trained model, and write the decoded text."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_model, named_task
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.inference import cut_inputs, sequences, unknown
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.inference.text_lines import STANDARD, hold_output
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import examples as stock
from mtf_synthesizer.upstream import session, variables
from mtf_synthesizer.upstream.model import Model


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Examples to decode, the checkpoint, and the output.

    Attributes:
      output: file to write; a folder for a benchmark.
      split: split of the task.
      checkpoint: "latest", a step, or "best": by the report of the validation split.
      examples: number of examples of each task to decode; None for all.
      sequences: number of outputs for each input: the best of a beam, or samples.
      scores: whether to compute log-likelihoods of outputs; several outputs always have them.
      seed: seed of samples. With None, outputs with scores are the same in every call, and samples
        without scores differ.
      show_progress: whether to show a progress bar while the lines of a file are decoded.
      verbose: whether T5, Mesh and TensorFlow log.
    """

    output: str | os.PathLike[str]
    split: str = "test"
    checkpoint: str | int = "latest"
    examples: int | None = None
    sequences: int = 1
    scores: bool = False
    seed: int | None = None
    show_progress: bool = True
    verbose: bool = False

    @property
    def is_scored(self) -> bool:
        """Return whether outputs come with their scores."""
        return self.scores or self.sequences > 1

    @property
    def are_hypotheses(self) -> bool:
        """Return whether outputs are decoded as hypotheses: for their scores, or from a seed."""
        return self.is_scored or self.seed is not None


def predict(
    model_dir: str | os.PathLike[str] | ModelFolder, request: Request, options: PredictOptions
) -> dict[str, Any]:
    """Decode a split of a task, or of every task of a mixture.

    The file has one JSON object per line and example: task, split, step, checkpoint (its
    fingerprint), index (in the split), the identifying fields of the example if any (idx, id,
    ...), output (the decoded text), prediction (the output after the task's postprocessor) and, if
    the split has targets, target (after the postprocessor). With scores it also has
    log_likelihood, tokens and is_finished of the output (`sequences.Hypothesis`); with several
    sequences it has all of them in `outputs`, best first.

    Args:
      model_dir: folder of the model.
      request: the task, and changes to the configuration, e.g. beam_search.gin.
      options: examples, checkpoint and output.

    Returns:
      model_dir, step, output, examples (the number of decoded examples), cut (numbers of the
      examples whose inputs were cut) and unknown (an `unknown.Unknown`).

    Raises:
      errors.UserError: a name, file, binding, split or checkpoint is wrong, or another process
        writes the output.
    """
    folder, output = ModelFolder.at(model_dir), options.output
    task = named_task(folder, request)
    if str(output) != STANDARD:
        saving.check_file(output)
        _check_replaceable(paths.of(output))
    configuration = for_model(folder, request)
    chosen = chosen_checkpoint(folder, options.checkpoint, task)
    records: list[dict[str, Any]] = []
    count, shortened = unknown.Unknown(), list[int]()
    with hold_output(output), session.configured(configuration, options.verbose):
        trained = session.build(folder.path)
        size = request.batch_size or trained.batch_size
        for example_set in stock.example_sets(task, options.split, trained, options.examples):
            if "inputs" not in example_set.lengths:
                raise errors.UserError(
                    f"--task {example_set.task.name}: the task has no inputs to decode from. "
                    "Give a task with inputs"
                )
            count += unknown.of_examples(example_set)
            shortened += cut_inputs.of_examples(example_set, trained.sequence_length["inputs"])
            records += example_records(folder, example_set, trained, size, chosen, options)
        decoding.write_lines(output, records)
    return {
        "model_dir": str(folder),
        "step": chosen.step,
        "output": str(output),
        "examples": len(records),
        "cut": shortened,
        "unknown": count,
    }


def _check_replaceable(output: paths.Path) -> None:
    """Refuse to replace a file that does not hold predictions."""
    if not output.exists():
        return
    with output.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    if first and not (first.startswith(b"{") and b'"prediction"' in first):
        raise errors.UserError(
            f"--output {output}: the file exists and does not hold predictions. Choose another file"
        )


def chosen_checkpoint(
    folder: ModelFolder, choice: str | int, task: str | None = None
) -> Checkpoint:
    """Return the checkpoint for "latest", "best" (of a task) or a step.

    Raises:
      errors.UserError: the checkpoint does not exist, or the choice is "all".
    """
    chosen = folder.choose(choice, task)
    if len(chosen) != 1:
        raise errors.UserError(
            "--checkpoint all: one checkpoint decodes. Give latest, best or a step"
        )
    return chosen[0]


def example_records(
    folder: ModelFolder,
    example_set: stock.ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
    options: PredictOptions,
) -> list[dict[str, Any]]:
    """Decode examples; see `predict` for the records."""
    if not options.are_hypotheses:
        outputs = decoded(folder, example_set, trained, batch_size, checkpoint)
        return decoding.records(example_set, outputs, options.split, checkpoint)
    sequences.check(trained, options.sequences)
    model, rows = _decoding(folder, example_set, trained, batch_size)
    written = sequences.written(
        model,
        stock.input_fn(rows, batch_size),
        checkpoint.path,
        options.sequences,
        options.seed,
    )
    hypotheses = [*itertools.islice(written, len(example_set.rows))]
    records = decoding.records(example_set, _best(hypotheses), options.split, checkpoint)
    if not options.is_scored:
        return records
    for record, several, row in zip(records, hypotheses, example_set.rows, strict=True):
        record |= several[0].record()
        if options.sequences > 1:
            record["outputs"] = decoding.alternatives(example_set.task, several, row)
    return records


def _best(hypotheses: Sequence[Sequence[sequences.Hypothesis]]) -> list[str]:
    return [several[0].output for several in hypotheses]


def decoded(
    folder: ModelFolder,
    example_set: stock.ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> list[str]:
    """Return the decoded text of every example."""
    model, rows = _decoding(folder, example_set, trained, batch_size)
    outputs = utils.decode(
        FittingEstimator(model.estimator),
        stock.input_fn(rows, batch_size),
        model.vocabulary,
        checkpoint_path=checkpoint.path,
    )
    return [tf.compat.as_text(output) for output in outputs][: len(example_set.rows)]


def _decoding(
    folder: ModelFolder, example_set: stock.ExampleSet, trained: Model, batch_size: int
) -> tuple[Model, dict[str, np.ndarray]]:
    """Build the model that decodes examples, and return it with the padded inputs."""
    inputs = example_set.arrays()["inputs"]
    length = row_length(trained, inputs.shape[1])
    model = decoding_model(folder, trained, length, batch_size)
    inputs = np.pad(inputs, ((0, 0), (0, length - inputs.shape[1])))
    return model, stock.padded({"inputs": inputs}, batch_size)


def log_likelihoods(
    folder: ModelFolder,
    example_set: stock.ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> list[float]:
    """Return the log-likelihood of every example's targets, in nats."""
    estimator = session.build_scorer(
        folder.path,
        sequence_length={**trained.sequence_length, **example_set.lengths},
        batch_size=batch_size,
    )
    rows = stock.padded(example_set.arrays(), batch_size)
    outputs = FittingEstimator(estimator).predict(
        stock.input_fn(rows, batch_size), checkpoint_path=checkpoint.path
    )
    return [float(output["scores"]) for output in outputs][: len(example_set.rows)]


def row_length(trained: Model, longest: int) -> int:
    """Return the length of rows of inputs whose longest has `longest` tokens.

    A language model writes into the row that it reads. Its rows are as long as in training, so that
    the room of an output does not depend on other inputs.
    """
    return trained.sequence_length["inputs"] if trained.model_type == "delimited_lm" else longest


def decoding_model(folder: ModelFolder, trained: Model, length: int, batch_size: int) -> Model:
    """Build the model for inputs of another length; outputs may be as long as in training."""
    bind_output_length(trained)
    lengths = {**trained.sequence_length, "inputs": length}
    return session.build(folder.path, sequence_length=lengths, batch_size=batch_size)


def bind_output_length(trained: Model) -> None:
    """Let outputs be as long as the targets in training, unless the configuration sets a length.

    Mesh's default is the length of the inputs; of beams 1.5 times the longest input of their batch
    plus 10 tokens.
    """
    bound = gin.get_bindings("Bitransformer.decode")
    length = bound.get("max_decode_length")
    values: dict[str, float] = {}
    if length is None:
        length = values["max_decode_length"] = trained.sequence_length["targets"]
    if not {"decode_length_multiplier", "decode_length_constant"}.intersection(bound):
        values |= {"decode_length_multiplier": 0.0, "decode_length_constant": float(length)}
    with gin.unlock_config():
        for name, value in values.items():
            gin.bind_parameter(f"Bitransformer.decode.{name}", value)


class FittingHook(tf.train.SessionRunHook):
    """A hook that compares the variables of a complete graph with a checkpoint.

    Args:
      checkpoint: path of the checkpoint.
    """

    def __init__(self, checkpoint: str):
        self._checkpoint = checkpoint

    def begin(self) -> None:
        """Compare the variables; TensorFlow calls this before it makes a session.

        Raises:
          errors.UserError: the checkpoint is of another model.
        """
        variables.check_variables(self._checkpoint)


class FittingEstimator:
    """The part of an Estimator that Mesh's decoding needs, after a comparison of variables.

    Args:
      estimator: Mesh's Estimator.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def predict(self, input_fn: Any, checkpoint_path: str) -> Any:
        """Predict as the Estimator does, after the comparison."""
        return self._estimator.predict(
            input_fn, checkpoint_path=checkpoint_path, hooks=[FittingHook(checkpoint_path)]
        )
