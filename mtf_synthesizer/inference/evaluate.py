"""Evaluates checkpoints of a trained model."""

import inspect
import os
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import seqio
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer import errors
from mtf_synthesizer.config import request
from mtf_synthesizer.config.request import TASK_MODULES
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference import predict, scoring
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.inference.report import merged, read, summed_up, versions
from mtf_synthesizer.model_folder.best import report_path
from mtf_synthesizer.model_folder.checkpoints import Checkpoint, chosen_checkpoints
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.tasks import metrics
from mtf_synthesizer.upstream import session, tasks
from mtf_synthesizer.upstream.examples import ExampleSet, example_sets, input_fn, padded
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import describe

# Of each type of model: the method that decodes, and its parameters that decide about the text.
_DECODERS = {
    "bitransformer": (
        transformer.Bitransformer.decode,
        ("beam_size", "alpha", "temperature", "sampling_keep_top_k", "max_decode_length"),
    ),
    "delimited_lm": (
        transformer.Unitransformer.sample_autoregressive,
        ("temperature", "sampling_keep_top_k", "max_steps"),
    ),
}


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
      checkpoints: "latest", "all", a step, or "best": by the report of the validation split.
      batch_size: sequences in a batch; unless given, that of training.
      examples: use only the first so many of each task.
      decode: decode the tasks that have metrics, and compute these.
      teacher_forced: compute the loss of the true targets.
      gin_files, gin_params: changes to the configuration, e.g. beam_search.gin.
      modules: imported for the tasks they register.
      vocabulary, tfds_data_dir: as in `train`; unless given, the vocabulary is the model's.
      output: where the report is written as JSON; model_dir/eval_<task>_<split>.json unless given.
        Rows of other checkpoints or settings that are there already are kept.
      predictions: where decoded examples of the last checkpoint are written as by `predict`.
      verbose: whether T5, Mesh and TensorFlow log.

    Returns:
      What was evaluated now, as it is written; docs/metrics.md describes it. `results` has a
      dictionary for each checkpoint and task with step, task, examples, metrics (name -> number)
      and, if teacher_forced, loss (nats per target token), token_accuracy, sequence_accuracy and
      tokens. A split without labels has neither metrics nor loss, but a note that says so.

    Raises:
      errors.UserError: a name, file, binding, split or checkpoint is wrong, or there is no data.
        Of a mixture the tasks without the split or without data are left out, and named.
    """
    path = output or report_path(model_dir, task, split)
    saving.check_file(path)
    if predictions is not None:
        saving.check_file(predictions)
    wanted = request.for_model(model_dir, gin_files, gin_params, modules, vocabulary, tfds_data_dir)
    chosen = chosen_checkpoints(model_dir, checkpoints, task)
    before = read(path, task, split, model_dir if output else None)
    rows: list[dict[str, Any]] = []
    with session.configured(wanted, verbose):
        tasks.check_task(task)
        trained = session.build(model_dir)
        sets, left_out = _example_sets(task, split, trained, examples)
        for checkpoint in chosen:
            records: list[dict[str, Any]] = []
            for each in sets:
                size = batch_size or trained.batch_size
                row = _made_by(each, checkpoint, examples)
                labelled = decoding.has_labels(each)
                if not labelled:
                    row["notes"] = [scoring.NO_LABELS]
                elif teacher_forced:
                    row |= _teacher_forced(model_dir, each, trained, size, checkpoint)
                if decode and _is_decoded(each) and (labelled or predictions is not None):
                    outputs = predict.decoded(model_dir, each, trained, size, checkpoint)
                    row |= {"decoding": _decoding_settings(trained.model_type)}
                    row |= vars(decoding.metrics(each, outputs, split))
                    records += decoding.records(each, outputs, split, checkpoint)
                rows.append(row)
        header = _header(model_dir, task, split, sets[0]) | {"left_out": left_out}
    if predictions is not None:
        decoding.write_lines(predictions, records)
    report = summed_up(header, rows)
    saving.write_json(path, merged(before, report))
    return report


def _example_sets(
    task: str, split: str, trained: Model, limit: int | None
) -> tuple[list[ExampleSet], dict[str, str]]:
    """The examples of a task, or of each task of a mixture, and why which tasks are left out.

    Raises:
      errors.UserError: all of them would be.
    """
    sets: list[ExampleSet] = []
    left_out: dict[str, str] = {}
    for each in seqio.get_subtasks(seqio.get_mixture_or_task(task)):
        try:
            sets += example_sets(each.name, split, trained, limit)
        except errors.UserError as error:
            left_out[each.name] = str(error)
    return sets or example_sets(task, split, trained, limit), left_out


def _header(
    model_dir: str | os.PathLike[str], task: str, split: str, examples: ExampleSet
) -> dict[str, Any]:
    """What all rows of an evaluation share."""
    vocabulary = describe(examples.task.output_features["targets"].vocabulary)
    vocabulary.pop("file", None)  # the same wherever it lies
    return {
        "model_dir": str(model_dir),
        "task": task,
        "split": split,
        "vocabulary": vocabulary,
        "matmul_precision": precision.current(),
        "versions": versions(),
    }


def _made_by(examples: ExampleSet, checkpoint: Checkpoint, limit: int | None) -> dict[str, Any]:
    """The beginning of a row: what it is of, and no metrics yet."""
    return {
        "step": checkpoint.step,
        "task": examples.task.name,
        "examples": len(examples.rows),
        "limit": limit,
        "checkpoint": checkpoint.fingerprint,
        "decoding": None,
        **vars(scoring.Scores()),
    }


def _is_decoded(examples: ExampleSet) -> bool:
    """Whether the task has metrics of decoded text."""
    return "inputs" in examples.lengths and bool(metrics.of(examples.task))


def _decoding_settings(model_type: str) -> dict[str, Any]:
    """How text was decoded; empty for models whose output has only one reading."""
    if model_type not in _DECODERS:
        return {}
    method, fields = _DECODERS[model_type]
    bound = gin.get_bindings(method.__qualname__)
    parameters = inspect.signature(method).parameters
    return {name: bound.get(name, parameters[name].default) for name in fields}


def _teacher_forced(
    model_dir: str | os.PathLike[str],
    each: ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    """Loss and accuracies of the true targets, over all target tokens of the examples.

    And perplexities as `metrics` of a task that has none of its own.
    """
    lengths = {**trained.sequence_length, **each.lengths}
    model = session.build(model_dir, sequence_length=lengths, batch_size=batch_size)
    rows = padded(each.arrays(), batch_size)
    values = model.estimator.evaluate(
        input_fn(rows, batch_size),
        hooks=[predict.FittingHook(checkpoint.path)],
        checkpoint_path=checkpoint.path,
        name=each.task.name,
    )
    loss, tokens = -float(values["neg_log_perplexity"]), int(values["num_eval_tokens"])
    measured: dict[str, Any] = {
        "loss": loss,
        "token_accuracy": float(values["token_accuracy"]),
        "sequence_accuracy": float(values["sequence_accuracy"]),
        "tokens": tokens,
    }
    if not metrics.of(each.task):
        measured["metrics"] = scoring.of_language(loss, tokens, each.rows, each.task)
    return measured
