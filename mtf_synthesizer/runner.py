"""Trains, evaluates and decodes: the package's commands as functions of plain values.

Every call starts from an empty gin configuration and leaves none behind, so they may be called in
any order and any number of times in one process.
"""

import os
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.compat

import gin
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import (
    checkpoint_state,
    configuration,
    divergence,
    names,
    observing,
    paths,
    progress,
    run_lock,
    run_record,
    saved_types,
    starting,
    stock,
    termination,
    vocabulary_record,
)
from mtf_synthesizer.benchmark_prediction import predict_benchmark
from mtf_synthesizer.configuration import TASK_MODULES
from mtf_synthesizer.evaluation import attention, describe, evaluate, report_path
from mtf_synthesizer.prediction import predict

__all__ = [
    "alphas",
    "attention",
    "describe",
    "evaluate",
    "loss_curve",
    "predict",
    "predict_benchmark",
    "report_path",
    "train",
]


def train(
    model_dir: str | os.PathLike[str],
    task: str | None = None,
    *,
    synthesizer: str | None = None,
    size: str | None = None,
    run: str | None = None,
    experiment: str | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    gin_files: Sequence[str] = (),
    gin_params: Sequence[str] = (),
    init_checkpoint: str | os.PathLike[str] | None = None,
    partial_init: bool = False,
    seed: int = 0,
    modules: Sequence[str] = TASK_MODULES,
    vocabulary: str | None = None,
    tfds_data_dir: str | None = None,
    additional_task_cache_dirs: Sequence[str] = (),
    summary_steps: int | None = None,
    attention_summaries: bool = True,
    show_progress: bool = True,
    verbose: bool = False,
) -> dict[str, Any]:
    """Trains a model, or goes on where an earlier call with the same model_dir stopped.

    Args:
      model_dir: folder for checkpoints, summaries, operative_config.gin and loss.jsonl.
      task: a seqio task or mixture; unless given, that of the experiment.
      synthesizer: a name of gin/synthesizers, e.g. "rv".
      size: a name of gin/sizes, e.g. "tiny". Without synthesizer and size the model is the one
        of init_checkpoint.
      run: a name of gin/runs: schedule, lengths, batch and packing; "pretrain" unless given.
      experiment: a name of gin/experiments, instead of run: these and the size and the task.
      steps: training steps, counted from init_checkpoint where there is one; unless given, the
        number in the run's file.
      batch_size: sequences in a batch; unless given, the number in the run's file.
      gin_files: further gin files, parsed after the named ones.
      gin_params: bindings, parsed last.
      init_checkpoint: a model folder or a checkpoint to start from.
      partial_init: whether that may lack variables, which then start afresh, or have more.
      seed: of initial values, the order of examples and dropout. A run that goes on makes the steps
        that it would have made without the stop (docs/runs.md).
      modules: imported for the tasks they register.
      vocabulary: a SentencePiece model or "bytes", for tasks that have no vocabulary of their own;
        unless given, that of init_checkpoint, else T5's.
      tfds_data_dir: folder that `data prepare` has written.
      additional_task_cache_dirs: folders that `caching.make` has written to, read instead of the
        data itself.
      summary_steps: steps between summaries and between lines of loss.jsonl.
      attention_summaries: whether α and the entropy of the attention are written with every
        checkpoint.
      show_progress: whether a bar is shown.
      verbose: whether T5, Mesh and TensorFlow log.

    Returns:
      model_dir, step (the last one), end (the step at which training ends), trained (how many
      steps this call made), seconds, loss (last mean; None if there is none) and losses (the lines
      of loss.jsonl since the run first began: step, loss, seconds, steps_per_second).

    Raises:
      names.UserError: a name, file, binding or task is wrong, the folder holds another run or one
        that is under way, or the loss is not a finite number.
      termination.Terminated: SIGTERM came; what was trained is saved.
    """
    began = time.monotonic()
    if vocabulary is None and configuration.checkpoints(model_dir):
        vocabulary = vocabulary_record.chosen(model_dir)
    request = configuration.Request(
        task=task,
        synthesizer=synthesizer,
        size=size,
        run=run,
        experiment=experiment,
        steps=steps,
        batch_size=batch_size,
        gin_files=gin_files,
        gin_params=gin_params,
        modules=modules,
        init_checkpoint=init_checkpoint,
        partial_init=partial_init,
        vocabulary=vocabulary,
        tfds_data_dir=tfds_data_dir,
        additional_task_cache_dirs=additional_task_cache_dirs,
    )
    request = run_record.resumed(model_dir, request, seed)
    wanted = saved_types.kept(configuration.for_training(request), model_dir)
    start = None
    if request.init_checkpoint:
        start = configuration.start_checkpoint(request.init_checkpoint)
    with (
        run_lock.held(model_dir),
        termination.noticed() as notice,
        stock.configured(wanted, verbose),
    ):
        checkpoint_state.remove_unfinished(model_dir)
        before = checkpoint_state.point_to_complete(model_dir)
        task = task or stock.configured_task()
        stock.check_task(task)
        stock.check_data(task)
        with gin.unlock_config():
            gin.bind_parameter("mesh_train_dataset_fn.seed", seed)
        model = stock.build(model_dir)
        stock.check_features(task, model)
        if start:
            stock.check_vocabulary(task, paths.of(start.path).parent)
        stock.remember_vocabulary(task, model_dir)
        run_record.remember(model_dir, request, seed, start)
        title = paths.of(model_dir).name or str(model_dir)
        log = progress.LossLog(model_dir)
        every = summary_steps or max(1, min(100, model.train_steps // 50))
        observed = observing.ObservedEstimator(
            _starting(model, start, partial_init) if start and not before else model.estimator,
            seed=seed,
            summary_steps=every,
            hook=lambda loss: progress.training_hook(
                log, title, model.train_steps, every, show_progress, loss, notice
            ),
            make_probe=(lambda: _probe(task, model)) if attention_summaries else None,
        )
        begun = start.step if start else 0
        at = before.step if before else begun
        if show_progress and begun < at < model.train_steps:
            print(_going_on(model_dir, at, at - begun), file=sys.stderr, flush=True)
        random.seed(seed + at)  # of dropout that `repeatable` leaves to Mesh
        _train(observed, model, log, begun)
    rows = log.read()
    done = checkpoint_state.current(model_dir)
    if notice.came:
        raise termination.Terminated(f"{model_dir}: saved at step {done.step}, as asked to end")
    if done.step < model.train_steps:
        raise names.UserError(
            f"{model_dir}: training ended at step {done.step} of {model.train_steps}, because "
            "there is no more data or a file could not be written (--verbose says more)"
        )
    return {
        "model_dir": str(model_dir),
        "step": done.step,
        "end": model.train_steps,
        "trained": done.step - at,
        "seconds": time.monotonic() - began,
        "loss": rows[-1]["loss"] if rows else None,
        "losses": rows,
    }


def _starting(
    model: stock.Model, start: configuration.Checkpoint, partial_init: bool
) -> starting.StartingEstimator:
    return starting.StartingEstimator(model.estimator, start.path, partial_init)


def _probe(task: str, model: stock.Model) -> observing.Probe:
    features = stock.probe_features(task, model)
    return observing.Probe(features, model_type=model.model_type, vocabulary=model.vocabulary)


def _going_on(model_dir: str | os.PathLike[str], step: int, batches: int) -> str:
    """What there is to wait for before the first step of a run that goes on."""
    return (
        f"{model_dir}: goes on after step {step}, once the {batches} batches that it has seen are "
        "passed over"
    )


def _train(
    estimator: observing.ObservedEstimator, model: stock.Model, log: progress.LossLog, begun: int
) -> None:
    """Trains up to the last step; `begun` is the step at which the run once began."""
    try:
        utils.train_model(
            estimator,
            model.vocabulary,
            model.sequence_length,
            model.batch_size,
            model.train_dataset_fn,
            model.train_steps,
            ensemble_inputs=None,
            skip_seen_data=True,  # T5's input pipeline is not part of a checkpoint
            seen_data_init_step=begun,
        )
    except tf.train.NanLossDuringTrainingError as error:
        advice = divergence.advice(log.path.parent, log.step + 1)
        raise names.UserError(advice) from error


def loss_curve(model_dir: str | os.PathLike[str]) -> list[dict[str, float]]:
    """The lines of a run's loss.jsonl: step, loss, seconds, steps_per_second."""
    return progress.LossLog(model_dir).read()


def alphas(model_dir: str | os.PathLike[str], checkpoint: str | int = "latest") -> dict[str, Any]:
    """α of every `Mixture` in a checkpoint: layer scope -> float array [heads, terms]."""
    chosen = configuration.chosen_checkpoints(model_dir, checkpoint)[-1]
    return observing.alphas(chosen.path)
