"""Trains, evaluates and decodes: the package's commands as functions of plain values.

Every call starts from an empty gin configuration and leaves none behind, so they may be called in
any order and any number of times in one process.
"""

import dataclasses
import os
import random
import sys
import time
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import (
    EXACT_FILE,
    TASK_MODULES,
    Configuration,
    Request,
    for_training,
)
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import lock, loss_log, state
from mtf_synthesizer.model_folder import vocabulary as vocabulary_record
from mtf_synthesizer.model_folder.checkpoints import (
    Checkpoint,
    checkpoints,
    chosen_checkpoints,
    start_checkpoint,
)
from mtf_synthesizer.runtime import precision, signals
from mtf_synthesizer.training import attention_summaries as training_attention_summaries
from mtf_synthesizer.training import progress, run_record
from mtf_synthesizer.training.estimator import ObservedEstimator, StartingEstimator
from mtf_synthesizer.upstream import examples, probe, session, tasks, variables
from mtf_synthesizer.upstream.model import Model


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
      errors.UserError: a name, file, binding or task is wrong, the folder holds another run or one
        that is under way, or the loss is not a finite number.
      termination.Terminated: SIGTERM came; what was trained is saved.
    """
    began = time.monotonic()
    if vocabulary is None and checkpoints(model_dir):
        vocabulary = vocabulary_record.chosen(model_dir)
    request = Request(
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
    precision.check_kept(run_record.kept_precision(model_dir))
    wanted = kept(for_training(request), model_dir)
    start = None
    if request.init_checkpoint:
        start = start_checkpoint(request.init_checkpoint)
    with (
        lock.hold(model_dir),
        signals.noticed() as notice,
        session.configured(wanted, verbose),
    ):
        state.remove_unfinished(model_dir)
        before = state.point_to_complete(model_dir)
        task = task or tasks.configured_task()
        tasks.check_task(task)
        tasks.check_data(task)
        with gin.unlock_config():
            gin.bind_parameter("mesh_train_dataset_fn.seed", seed)
        model = session.build(model_dir)
        tasks.check_features(task, model)
        if start:
            tasks.check_vocabulary(task, paths.of(start.path).parent)
        tasks.remember_vocabulary(task, model_dir)
        run_record.remember(model_dir, request, seed, start)
        title = paths.of(model_dir).name or str(model_dir)
        log = loss_log.LossLog(model_dir)
        every = summary_steps or max(1, min(100, model.train_steps // 50))
        observed = ObservedEstimator(
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
    done = state.current(model_dir)
    if notice.came:
        raise signals.Terminated(f"{model_dir}: saved at step {done.step}, as asked to end")
    if done.step < model.train_steps:
        raise errors.UserError(
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


def _starting(model: Model, start: Checkpoint, partial_init: bool) -> StartingEstimator:
    return StartingEstimator(model.estimator, start.path, partial_init)


def _probe(task: str, model: Model) -> probe.Probe:
    features = examples.probe_features(task, model)
    return probe.Probe(features, model_type=model.model_type, vocabulary=model.vocabulary)


def _going_on(model_dir: str | os.PathLike[str], step: int, batches: int) -> str:
    """What there is to wait for before the first step of a run that goes on."""
    return (
        f"{model_dir}: goes on after step {step}, once the {batches} batches that it has seen are "
        "passed over"
    )


def _train(estimator: ObservedEstimator, model: Model, log: loss_log.LossLog, begun: int) -> None:
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
        advice = divergence_advice(log.path.parent, log.step + 1)
        raise errors.UserError(advice) from error


def loss_curve(model_dir: str | os.PathLike[str]) -> list[dict[str, float]]:
    """The lines of a run's loss.jsonl: step, loss, seconds, steps_per_second."""
    return loss_log.LossLog(model_dir).read()


def alphas(model_dir: str | os.PathLike[str], checkpoint: str | int = "latest") -> dict[str, Any]:
    """α of every `Mixture` in a checkpoint: layer scope -> float array [heads, terms]."""
    chosen = chosen_checkpoints(model_dir, checkpoint)[-1]
    return training_attention_summaries.alphas(chosen.path)


_ADVICE = "a smaller learning rate, more warm-up or --gin_file clip_gradients.gin"


def divergence_advice(model_dir: str | os.PathLike[str], step: int) -> str:
    """A sentence for a run that ended so at a step."""
    what = f"the loss is no longer a finite number at step {step}"
    found = checkpoints(model_dir)
    good = [each for each in found if _is_finite(each)]
    if not good:
        return f"{what}, and no checkpoint is good. Start anew with {_ADVICE}"
    worse = len(found) - found.index(good[-1]) - 1
    others = f"; {worse} later ones hold infinite values" if worse else ""
    return (
        f"{what}. The last good checkpoint is {good[-1].path}{others}. Start a new folder from it, "
        f"with --init_checkpoint, and with {_ADVICE}"
    )


def _is_finite(checkpoint: Checkpoint) -> bool:
    """Whether all values of a checkpoint are numbers."""
    reader = tf.train.load_checkpoint(checkpoint.path)
    types = reader.get_variable_to_dtype_map()
    return all(
        np.isfinite(reader.get_tensor(name).astype(np.float32)).all()
        for name, dtype in types.items()
        if dtype.is_floating
    )


def kept(wanted: Configuration, model_dir: str | os.PathLike[str]) -> Configuration:
    """The configuration of a run that goes on: in bfloat16, as Mesh saves, where it is saved so."""
    if not checkpoints(model_dir) or not variables.is_rounded(state.current(model_dir).path):
        return wanted
    files = tuple(file for file in wanted.files if file != EXACT_FILE)
    return dataclasses.replace(wanted, files=files)
