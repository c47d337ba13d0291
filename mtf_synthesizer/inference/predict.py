"""Decodes with a checkpoint of a trained model, and writes what it decoded."""

import os
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config import request
from mtf_synthesizer.config.request import TASK_MODULES
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.model_folder import checkpoints
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.upstream import examples as stock
from mtf_synthesizer.upstream import session, variables
from mtf_synthesizer.upstream.model import Model


def predict(
    model_dir: str | os.PathLike[str],
    task: str,
    *,
    output: str | os.PathLike[str],
    split: str = "test",
    checkpoint: str | int = "latest",
    batch_size: int | None = None,
    examples: int | None = None,
    gin_files: Sequence[str] = (),
    gin_params: Sequence[str] = (),
    modules: Sequence[str] = TASK_MODULES,
    vocabulary: str | None = None,
    tfds_data_dir: str | None = None,
    verbose: bool = False,
) -> dict[str, Any]:
    """Decodes a split of a task, or of every task of a mixture, with metrics or without.

    Writes one JSON object per line and example: task, split, step and checkpoint (which one
    decoded it), index (in the split), the identifying fields of the example where it has any (idx,
    id, ...), output (the decoded text), prediction (the output as the task's postprocessor reads
    it) and, where the split has them, target (read likewise).

    The other arguments are those of `evaluate`.

    Returns:
      model_dir, step, output and examples (their number).

    Raises:
      errors.UserError: a name, file, binding, split or checkpoint is wrong.
    """
    saving.check_file(output)
    _check_replaceable(paths.of(output))
    wanted = request.for_model(model_dir, gin_files, gin_params, modules, vocabulary, tfds_data_dir)
    chosen = chosen_checkpoint(model_dir, checkpoint, task)
    records: list[dict[str, Any]] = []
    with session.configured(wanted, verbose):
        trained = session.build(model_dir)
        for each in stock.example_sets(task, split, trained, examples):
            if "inputs" not in each.lengths:
                raise errors.UserError(f"the task {each.task.name} has no inputs to decode from")
            size = batch_size or trained.batch_size
            outputs = decoded(model_dir, each, trained, size, chosen)
            records += decoding.records(each, outputs, split, chosen)
    decoding.write_lines(output, records)
    return {
        "model_dir": str(model_dir),
        "step": chosen.step,
        "output": str(output),
        "examples": len(records),
    }


def _check_replaceable(output: paths.Path) -> None:
    """Predictions may be made anew; any other file is somebody's."""
    if not output.exists():
        return
    with output.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
    if first and not (first.startswith(b"{") and b'"prediction"' in first):
        raise errors.UserError(
            f"--output {output} is there and holds no predictions: choose another file"
        )


def chosen_checkpoint(
    model_dir: str | os.PathLike[str], choice: str | int, task: str | None = None
) -> Checkpoint:
    """The checkpoint meant by "latest", "best" (of a task) or a step.

    Raises:
      errors.UserError: there is none, or more than one is meant.
    """
    chosen = checkpoints.chosen_checkpoints(model_dir, choice, task)
    if len(chosen) != 1:
        raise errors.UserError("predict uses one checkpoint: choose latest or a step, not all")
    return chosen[0]


def decoded(
    model_dir: str | os.PathLike[str],
    each: stock.ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> list[str]:
    """The decoded text of every example."""
    lengths = {**trained.sequence_length, **each.lengths}
    model = decoding_model(model_dir, trained, lengths, batch_size)
    rows = stock.padded({"inputs": each.arrays()["inputs"]}, batch_size)
    outputs = utils.decode(
        FittingEstimator(model.estimator),
        stock.input_fn(rows, batch_size),
        model.vocabulary,
        checkpoint_path=checkpoint.path,
    )
    return [tf.compat.as_text(output) for output in outputs][: len(each.rows)]


def decoding_model(
    model_dir: str | os.PathLike[str],
    trained: Model,
    lengths: dict[str, int],
    batch_size: int,
) -> Model:
    """The model for inputs of another length; its outputs may be as long as in training."""
    bind_output_length(trained)
    return session.build(model_dir, sequence_length=lengths, batch_size=batch_size)


def bind_output_length(trained: Model) -> None:
    """Lets outputs be as long as the targets in training, unless the configuration says how long.

    Mesh would make them as long as the inputs.
    """
    if gin.get_bindings("Bitransformer.decode").get("max_decode_length") is None:
        with gin.unlock_config():
            gin.bind_parameter(
                "Bitransformer.decode.max_decode_length", trained.sequence_length["targets"]
            )


class FittingHook(tf.train.SessionRunHook):
    """Compares the variables of a graph with a checkpoint, once all of them are there.

    Args:
      checkpoint: its path.
    """

    def __init__(self, checkpoint: str):
        self._checkpoint = checkpoint

    def begin(self) -> None:
        """Called by TensorFlow before it makes a session.

        Raises:
          errors.UserError: the checkpoint is of another model.
        """
        variables.check_variables(self._checkpoint)


class FittingEstimator:
    """The part of an Estimator that Mesh's decoding needs, with the comparison before it.

    Args:
      estimator: Mesh's.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def predict(self, input_fn: Any, checkpoint_path: str) -> Any:
        """As the Estimator's."""
        return self._estimator.predict(
            input_fn, checkpoint_path=checkpoint_path, hooks=[FittingHook(checkpoint_path)]
        )
