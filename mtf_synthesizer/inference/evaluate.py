"""Evaluate checkpoints of a trained model."""

import dataclasses
import inspect
import os
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import seqio
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration, Request, for_model, named_task
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.data import own_files
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference import metric_objects, predict, scoring
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.inference.report import add, check_output, summed_up, versions
from mtf_synthesizer.model_folder import own_data
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.submissions.layout import Benchmark
from mtf_synthesizer.upstream import session, tasks
from mtf_synthesizer.upstream.event_files import without_event_files
from mtf_synthesizer.upstream.examples import ExampleSet, example_sets, input_fn, padded
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import describe

# Type of model -> method that decodes, and the parameters of the method that affect the text.
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
# The greatest length of beams: a factor of the longest input of a batch, and tokens.
_OF_BEAMS = ("decode_length_multiplier", "decode_length_constant")


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Examples and checkpoints of an evaluation, and the files that it writes.

    Attributes:
      split: split of the task.
      benchmark: leaderboard whose tasks are evaluated; the request then names it as its task.
      checkpoints: "latest", "all", a step, or "best": by the report of the validation split.
      examples: number of examples of each task to read; None for all.
      decode: whether to decode the tasks that have metrics, and to compute the metrics.
      teacher_forced: whether to compute the loss of the true targets.
      output: JSON file of the report; None for eval_<task>_<split>.json in the model folder. Rows
        of other checkpoints or settings in an existing file are kept.
      predictions: file for the decoded examples of the last checkpoint, as `predict` writes it.
      verbose: whether T5, Mesh and TensorFlow log.
    """

    split: str = "validation"
    benchmark: Benchmark | None = None
    checkpoints: str | int = "latest"
    examples: int | None = None
    decode: bool = True
    teacher_forced: bool = True
    output: str | os.PathLike[str] | None = None
    predictions: str | os.PathLike[str] | None = None
    verbose: bool = False


DEFAULTS = EvaluateOptions()


def evaluate(
    model_dir: str | os.PathLike[str] | ModelFolder,
    request: Request,
    options: EvaluateOptions = DEFAULTS,
) -> dict[str, Any]:
    """Evaluate a trained model on a task, or on every task of a mixture.

    Args:
      model_dir: folder of the model.
      request: the task, and changes to the configuration, e.g. beam_search.gin.
      options: examples, checkpoints and files.

    Returns:
      The report of this evaluation (docs/metrics.md). `results` has a dictionary for each
      checkpoint and task with step, task, examples, metrics (name -> number) and, if
      teacher_forced, loss (nats per target token), token_accuracy, sequence_accuracy and tokens.
      For a split without labels it has a note instead of metrics and loss. `left_out` has the
      tasks of a mixture without the split or without data.

    Raises:
      errors.UserError: a name, file, binding, split or checkpoint is wrong, or all tasks lack data.
    """
    folder = ModelFolder.at(model_dir)
    task = named_task(folder, request)
    check_output(folder, task, options.split, options.output)
    if options.predictions is not None:
        saving.check_file(options.predictions)
    configuration = for_model(folder, request)
    chosen = folder.choose(options.checkpoints, task)
    rows: list[dict[str, Any]] = []
    with session.configured(configuration, options.verbose), without_event_files():
        names = _task_names(folder, task, options.benchmark)
        trained = session.build(folder.path)
        size = request.batch_size or trained.batch_size
        sets, left_out = _example_sets(names, options.split, trained, options.examples)
        made_of = {"lengths": _changed_lengths(folder, trained)}
        made_of |= _data(task, configuration, options.split)
        header = _header(folder, task, options.split, sets[0]) | {"left_out": left_out}
        for checkpoint in chosen:
            records: list[dict[str, Any]] = []
            of_checkpoint: list[dict[str, Any]] = []
            for example_set in sets:
                row, outputs = evaluated(folder, example_set, trained, size, checkpoint, options)
                of_checkpoint.append(row | made_of)
                if outputs is not None:
                    records += decoding.records(example_set, outputs, options.split, checkpoint)
            add(summed_up(header, of_checkpoint), folder.reread(), options.output)
            rows += of_checkpoint
    if options.predictions is not None:
        decoding.write_lines(options.predictions, records)
    return summed_up(header, rows)


def evaluated(
    folder: ModelFolder,
    examples: ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
    options: EvaluateOptions,
) -> tuple[dict[str, Any], list[str] | None]:
    """Return the row of a checkpoint and a task, and the decoded texts if any."""
    row = _made_by(examples, checkpoint, options.examples)
    outputs = None
    labelled = decoding.has_labels(examples)
    if not labelled:
        row["notes"] = [scoring.NO_LABELS]
    elif options.teacher_forced:
        row |= _teacher_forced(folder, examples, trained, batch_size, checkpoint)
    if options.decode and _is_decoded(examples) and (labelled or options.predictions is not None):
        outputs = predict.decoded(folder, examples, trained, batch_size, checkpoint)
        row["decoding"] = _decoding_settings(trained)
    if options.decode and labelled:
        if outputs is not None:
            row |= vars(decoding.metrics(examples, outputs, options.split))
        scores = scoring.Scores(row["metrics"], row["signatures"], row["notes"])
        if _is_scored(examples, trained):
            likelihoods = predict.log_likelihoods(folder, examples, trained, batch_size, checkpoint)
            scores.add(decoding.metrics_of_scores(examples, likelihoods))
        scores.notes += _without_values(examples, trained)
    return row, outputs


def _task_names(folder: ModelFolder, task: str, benchmark: Benchmark | None) -> list[str]:
    """Return the tasks of a benchmark, else those of a mixture, or the task itself."""
    if benchmark is not None:
        return benchmark.tasks()
    tasks.check_task(task, folder.path)
    return [subtask.name for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))]


def _example_sets(
    names: Sequence[str], split: str, trained: Model, limit: int | None
) -> tuple[list[ExampleSet], dict[str, str]]:
    """Return the examples of each task, and the tasks left out.

    Returns:
      The examples, and task -> reason for the tasks that are left out.

    Raises:
      errors.UserError: all tasks would be left out.
    """
    sets: list[ExampleSet] = []
    left_out: dict[str, str] = {}
    for name in names:
        try:
            sets += example_sets(name, split, trained, limit)
        except errors.UserError as error:
            left_out[name] = str(error)
    return sets or example_sets(names[0], split, trained, limit), left_out


def _header(folder: ModelFolder, task: str, split: str, examples: ExampleSet) -> dict[str, Any]:
    """Return the fields that all rows of an evaluation share."""
    vocabulary = describe(examples.task.output_features["targets"].vocabulary)
    vocabulary.pop("file", None)  # the path does not identify a vocabulary
    return {
        "model_dir": str(folder),
        "task": task,
        "split": split,
        "vocabulary": vocabulary,
        "matmul_precision": precision.current(),
        "versions": versions(),
    }


def _made_by(examples: ExampleSet, checkpoint: Checkpoint, limit: int | None) -> dict[str, Any]:
    """Return a row that identifies its evaluation, still without metrics."""
    return {
        "step": checkpoint.step,
        "task": examples.task.name,
        "examples": len(examples.rows),
        "limit": limit,
        "checkpoint": checkpoint.fingerprint,
        "decoding": None,
        **vars(scoring.Scores()),
    }


def _data(task: str, configuration: Configuration, split: str) -> dict[str, Any]:
    """Fields of a row on a user's own file: its SHA-256, because another file may take its name."""
    if task != own_data.TASK or configuration.own_data is None:
        return {}
    return {"data_sha256": own_files.digest(configuration.own_data.files[split])}


def _is_decoded(examples: ExampleSet) -> bool:
    """Return whether the task has metrics of decoded text."""
    return "inputs" in examples.lengths and metric_objects.read_text(examples.task)


def _is_scored(examples: ExampleSet, trained: Model) -> bool:
    """Return whether the task has metrics of log-likelihoods, and the model computes these."""
    return trained.model_type in metric_objects.SCORING_MODELS and metric_objects.read_scores(
        examples.task
    )


def _without_values(examples: ExampleSet, trained: Model) -> list[str]:
    """Return a sentence about each kind of metric that the model or the task has no values for."""
    task = examples.task
    notes = [
        f"the metric {scoring.named(metric)} needs values that Mesh's models don't compute"
        for metric in metric_objects.without_values(task)
    ]
    if metric_objects.read_text(task) and "inputs" not in examples.lengths:
        notes.append("its metrics need decoded text, but the task has no inputs to decode from")
    if metric_objects.read_scores(task) and not _is_scored(examples, trained):
        notes.append(
            f"its metrics of scores need a model of one of the types "
            f"{', '.join(metric_objects.SCORING_MODELS)}, not {trained.model_type}"
        )
    return notes


def _changed_lengths(folder: ModelFolder, trained: Model) -> dict[str, int] | None:
    """Return the lengths that examples are cut to, where they are not those of the training."""
    config = BoundValues([str(folder.operative_config)], ())
    before = config.value("run", "sequence_length")
    return None if trained.sequence_length == before else dict(trained.sequence_length)


def _decoding_settings(trained: Model) -> dict[str, Any]:
    """Return the settings of the decoding; empty for models whose decoding has none."""
    if trained.model_type not in _DECODERS:
        return {}
    method, fields = _DECODERS[trained.model_type]
    bound = gin.get_bindings(method.__qualname__)
    parameters = inspect.signature(method).parameters
    settings = {name: bound.get(name, parameters[name].default) for name in fields}
    if settings.get("beam_size", 1) > 1:
        settings |= {name: bound[name] for name in _OF_BEAMS if name in bound}
    if trained.model_type == "delimited_lm":
        settings["length"] = sum(trained.sequence_length.values())
    return settings


def _teacher_forced(
    folder: ModelFolder,
    example_set: ExampleSet,
    trained: Model,
    batch_size: int,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    """Return loss and accuracies of the true targets, over all target tokens of the examples.

    A task without metrics gets perplexities as its metrics.
    """
    lengths = {**trained.sequence_length, **example_set.lengths}
    model = session.build(folder.path, sequence_length=lengths, batch_size=batch_size)
    rows = padded(example_set.arrays(), batch_size)
    values = model.estimator.evaluate(
        input_fn(rows, batch_size),
        hooks=[predict.FittingHook(checkpoint.path)],
        checkpoint_path=checkpoint.path,
        name=example_set.task.name,
    )
    loss, tokens = -float(values["neg_log_perplexity"]), int(values["num_eval_tokens"])
    measured: dict[str, Any] = {
        "loss": loss,
        "token_accuracy": float(values["token_accuracy"]),
        "sequence_accuracy": float(values["sequence_accuracy"]),
        "tokens": tokens,
    }
    if not (
        metric_objects.read_text(example_set.task) or metric_objects.read_scores(example_set.task)
    ):
        measured["metrics"] = scoring.of_language(loss, tokens, example_set.rows, example_set.task)
    return measured
