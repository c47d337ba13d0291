"""Decodes with a checkpoint of a trained model, and writes what it decoded."""

import os
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.compat

import gin
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import configuration, decoding, fitting, names, paths, saving, stock
from mtf_synthesizer.configuration import TASK_MODULES, Checkpoint


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
      names.UserError: a name, file, binding, split or checkpoint is wrong.
    """
    saving.check_file(output)
    _check_replaceable(paths.of(output))
    wanted = configuration.for_model(
        model_dir, gin_files, gin_params, modules, vocabulary, tfds_data_dir
    )
    chosen = chosen_checkpoint(model_dir, checkpoint, task)
    records: list[dict[str, Any]] = []
    with stock.configured(wanted, verbose):
        trained = stock.build(model_dir)
        for each in stock.example_sets(task, split, trained, examples):
            if "inputs" not in each.lengths:
                raise names.UserError(f"the task {each.task.name} has no inputs to decode from")
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
        raise names.UserError(
            f"--output {output} is there and holds no predictions: choose another file"
        )


def chosen_checkpoint(
    model_dir: str | os.PathLike[str], choice: str | int, task: str | None = None
) -> Checkpoint:
    """The checkpoint meant by "latest", "best" (of a task) or a step.

    Raises:
      names.UserError: there is none, or more than one is meant.
    """
    chosen = configuration.chosen_checkpoints(model_dir, choice, task)
    if len(chosen) != 1:
        raise names.UserError("predict uses one checkpoint: choose latest or a step, not all")
    return chosen[0]


def decoded(
    model_dir: str | os.PathLike[str],
    each: decoding.ExampleSet,
    trained: stock.Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> list[str]:
    """The decoded text of every example."""
    lengths = {**trained.sequence_length, **each.lengths}
    model = decoding_model(model_dir, trained, lengths, batch_size)
    rows = decoding.padded({"inputs": each.arrays()["inputs"]}, batch_size)
    outputs = utils.decode(
        fitting.FittingEstimator(model.estimator),
        decoding.input_fn(rows, batch_size),
        model.vocabulary,
        checkpoint_path=checkpoint.path,
    )
    return [tf.compat.as_text(output) for output in outputs][: len(each.rows)]


def decoding_model(
    model_dir: str | os.PathLike[str],
    trained: stock.Model,
    lengths: dict[str, int],
    batch_size: int,
) -> stock.Model:
    """The model for inputs of another length; its outputs may be as long as in training."""
    bind_output_length(trained)
    return stock.build(model_dir, sequence_length=lengths, batch_size=batch_size)


def bind_output_length(trained: stock.Model) -> None:
    """Lets outputs be as long as the targets in training, unless the configuration says how long.

    Mesh would make them as long as the inputs.
    """
    if gin.get_bindings("Bitransformer.decode").get("max_decode_length") is None:
        with gin.unlock_config():
            gin.bind_parameter(
                "Bitransformer.decode.max_decode_length", trained.sequence_length["targets"]
            )
