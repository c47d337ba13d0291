"""Evaluates checkpoints of a trained model."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.compat  # noqa: F401  isort: skip  # before Mesh

import numpy as np

from mtf_synthesizer import configuration, decoding, observing, prediction, stock
from mtf_synthesizer.configuration import TASK_MODULES, Checkpoint


def evaluate(
    model_dir: str | os.PathLike[str],
    task: str,
    *,
    split: str = "validation",
    checkpoints: str | int = "latest",
    batch_size: int | None = None,
    examples: int | None = None,
    decode: bool = True,
    teacher_forced: bool = True,
    gin_files: Sequence[str] = (),
    gin_params: Sequence[str] = (),
    modules: Sequence[str] = TASK_MODULES,
    vocabulary: str | None = None,
    tfds_data_dir: str | None = None,
    output: str | os.PathLike[str] | None = None,
    predictions: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> dict[str, Any]:
    """Evaluates a trained model on a task, or on every task of a mixture.

    Args:
      model_dir: folder of `train`; its operative_config.gin says what the model is.
      task: a seqio task or mixture.
      split: of the task.
      checkpoints: "latest", "all" or a step.
      batch_size: sequences in a batch; unless given, that of training.
      examples: use only the first so many of each task.
      decode: decode the tasks that have metrics, and compute these.
      teacher_forced: compute the loss of the true targets.
      gin_files, gin_params: changes to the configuration, e.g. beam_search.gin.
      modules: imported for the tasks they register.
      vocabulary, tfds_data_dir: as in `train`; unless given, the vocabulary is the model's.
      output: where the result is written as JSON; model_dir/eval_<task>_<split>.json unless given.
      predictions: where decoded examples of the last checkpoint are written as by `predict`.
      verbose: whether T5, Mesh and TensorFlow log.

    Returns:
      model_dir, task, split, and results: a list with one dictionary for each checkpoint and
      task of step, task, examples, metrics (name -> number, of the decoded text; empty without
      decoding) and, if teacher_forced, loss (nats per target token), token_accuracy,
      sequence_accuracy and tokens.

    Raises:
      names.UserError: a name, file, binding, split or checkpoint is wrong.
    """
    wanted = configuration.for_model(
        model_dir, gin_files, gin_params, modules, vocabulary, tfds_data_dir
    )
    chosen = configuration.chosen_checkpoints(model_dir, checkpoints)
    results: list[dict[str, Any]] = []
    with stock.configured(wanted, verbose):
        trained = stock.build(model_dir)
        sets = stock.example_sets(task, split, trained, examples)
        for checkpoint in chosen:
            records: list[dict[str, Any]] = []
            for each in sets:
                row: dict[str, Any] = {
                    "step": checkpoint.step,
                    "task": each.task.name,
                    "examples": len(each.rows),
                    "metrics": {},
                }
                size = batch_size or trained.batch_size
                if teacher_forced:
                    row |= _teacher_forced(model_dir, each, trained, size, checkpoint)
                if decode and each.task.metric_fns and "inputs" in each.lengths:
                    outputs = prediction.decoded(model_dir, each, trained, size, checkpoint)
                    row["metrics"] = decoding.metrics(each, outputs)
                    records += decoding.records(each, outputs, split, checkpoint)
                results.append(row)
    report = {"model_dir": str(model_dir), "task": task, "split": split, "results": results}
    if predictions is not None:
        decoding.write_lines(predictions, records)
    decoding.write_json(output or report_path(model_dir, task, split), report)
    return report


def attention(
    model_dir: str | os.PathLike[str],
    task: str,
    *,
    split: str = "validation",
    checkpoint: str | int = "latest",
    examples: int = 4,
    modules: Sequence[str] = TASK_MODULES,
    vocabulary: str | None = None,
    tfds_data_dir: str | None = None,
    verbose: bool = False,
) -> dict[str, np.ndarray]:
    """Attention weights of every `SyntheticAttention` layer on the first examples of a split.

    Returns:
      Layer scope -> float32 [batch, heads, length, memory_length]; without batch where the
      weights are the same for all examples.

    Raises:
      names.UserError: a name, split or checkpoint is wrong.
    """
    wanted = configuration.for_model(model_dir, (), (), modules, vocabulary, tfds_data_dir)
    chosen = configuration.chosen_checkpoints(model_dir, checkpoint)[-1]
    with stock.configured(wanted, verbose):
        trained = stock.build(model_dir)
        each = stock.example_sets(task, split, trained, examples)[0]
        probe = observing.Probe(
            each.arrays(), model_type=trained.model_type, vocabulary=trained.vocabulary
        )
        weights = probe.weights(chosen.path)
        probe.close()
    return weights


def _teacher_forced(
    model_dir: str | os.PathLike[str],
    each: decoding.ExampleSet,
    trained: stock.Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> dict[str, float]:
    """Loss and accuracies of the true targets, over all target tokens of the examples."""
    lengths = {**trained.sequence_length, **each.lengths}
    model = stock.build(model_dir, sequence_length=lengths, batch_size=batch_size)
    rows = decoding.padded(each.arrays(), batch_size)
    values = model.estimator.evaluate(
        decoding.input_fn(rows, batch_size), checkpoint_path=checkpoint.path, name=each.task.name
    )
    return {
        "loss": -float(values["neg_log_perplexity"]),
        "token_accuracy": float(values["token_accuracy"]),
        "sequence_accuracy": float(values["sequence_accuracy"]),
        "tokens": int(values["num_eval_tokens"]),
    }


def report_path(model_dir: str | os.PathLike[str], task: str, split: str) -> pathlib.Path:
    """Where `evaluate` writes its result unless told otherwise."""
    return pathlib.Path(model_dir) / f"eval_{task}_{split}.json"


def describe(report: dict[str, Any]) -> str:
    """A table of what `evaluate` returned."""
    lines = []
    for row in report["results"]:
        numbers = {**row["metrics"], **{k: row[k] for k in ("loss", "token_accuracy") if k in row}}
        shown = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        lines.append(f"{row['step']:>8}  {row['task']:<40} {row['examples']:>7}  {shown}")
    head = f"{'step':>8}  {'task':<40} {'examples':>8} metrics"
    return "\n".join([head, *lines])
