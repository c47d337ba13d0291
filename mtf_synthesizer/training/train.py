"""Train models: the command `train` as a function.

Each call starts from an empty gin configuration and leaves an empty one, so one process can make
any number of calls in any order.
"""

import dataclasses
import functools
import os
import random
import sys
import time
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import EXACT_FILE, Configuration, Request
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import loss_log, own_data, vocabulary
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import precision, signals
from mtf_synthesizer.training import attention_summaries as training_attention_summaries
from mtf_synthesizer.training import memory, progress, run_record, saving_hooks
from mtf_synthesizer.training.attention_summaries import AttentionListener
from mtf_synthesizer.training.estimator import ObservedEstimator, StartingEstimator
from mtf_synthesizer.training.start import TrainingRun, finished, prepare, result
from mtf_synthesizer.training.validation import Validation, ValidationListener
from mtf_synthesizer.upstream import examples, probe, schedules, session, tasks, variables
from mtf_synthesizer.upstream.model import Model


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Options that change no value of the trained model.

    Attributes:
      summary_steps: steps between summaries and between lines of loss.jsonl; None for a fiftieth
        of the steps, at most 100.
      attention_summaries: whether to write α and the entropy of the attention with every
        checkpoint.
      show_progress: whether to show a progress bar.
      verbose: whether T5, Mesh and TensorFlow log.
      validation: evaluation while the model trains; None for no evaluation.
    """

    summary_steps: int | None = None
    attention_summaries: bool = True
    show_progress: bool = True
    verbose: bool = False
    validation: Validation | None = None


DEFAULTS = TrainOptions()


def train(
    model_dir: str | os.PathLike[str] | ModelFolder,
    request: Request,
    options: TrainOptions = DEFAULTS,
) -> dict[str, Any]:
    """Train a model, or resume the run of an earlier call with the same model_dir.

    Args:
      model_dir: folder for checkpoints, summaries, operative_config.gin and loss.jsonl.
      request: the model and its training.
      options: summaries, progress and evaluation.

    Returns:
      model_dir, step (the last step), end (the step at which the training ends), trained (number
      of steps of this call), seconds, loss (last mean loss; None without one) and losses (all
      lines of loss.jsonl: step, loss, seconds, steps_per_second). With `options.validation` also
      best (the best scores with their step) and metric (the score that chooses them).

    Raises:
      errors.UserError: a name, file, binding or task is wrong, the folder holds another run or is
        in use, or the loss is not a finite number.
      signals.Terminated: SIGTERM ended the training; its progress is saved.
    """
    run = prepare(ModelFolder.at(model_dir), request)
    done = finished(run) if options.validation is None else None
    return done or carry_out(run, options)


def carry_out(run: TrainingRun, options: TrainOptions) -> dict[str, Any]:
    """Train a prepared run; `train` documents the result."""
    began = time.monotonic()
    with run.folder.lock() as folder, signals.noticed() as notice:
        if folder.checkpoints != run.folder.checkpoints:  # another process trained meanwhile
            run = prepare(folder, run.asked)
        precision.check_kept(run.precision)
        before = folder.repair()
        with session.configured(_as_saved(run.configuration, before), options.verbose):
            task = run.request.task or tasks.configured_task()
            model = _built(task, folder, run)
            memory.warn(run.configuration, model)
            log = loss_log.LossLog(folder.path)
            begun = run.start.step if run.start else 0
            at = before.step if before else begun
            pauses = progress.Pauses()
            validation = None
            if options.validation is not None:
                log.rewind(at)
                steps = (begun, model.train_steps)
                validation = ValidationListener(options.validation, folder, log, pauses, steps)
                validation.prepare(task, model)
            if validation is None or not validation.has_ended:
                if options.show_progress and begun < at < model.train_steps:
                    print(_announce(folder, at, at - begun), file=sys.stderr, flush=True)
                listeners: list[tf_estimator.CheckpointSaverListener] = []
                if options.attention_summaries:
                    probe_of = functools.partial(_probe, task, model)
                    listeners.append(AttentionListener(str(folder.path), probe_of))
                if validation is not None:
                    listeners.append(validation)
                observed = ObservedEstimator(
                    model.estimator if before else _starting(model, run.start, run.request),
                    before,
                    seed=run.request.seed,
                    summary_steps=_summary_steps(model, options),
                    # Our hook comes before Mesh's saving hook: a saved step must be in loss.jsonl.
                    hooks=lambda loss, of_mesh: [
                        _hook(log, model, options, loss, notice, pauses),
                        *(saving_hooks.hook(hook, folder, begun) for hook in of_mesh),
                    ],
                    listeners=listeners,
                )
                # Dropout that `repeatable` leaves to Mesh.
                random.seed(run.request.seed + at)
                _train(observed, model, log, begun)
            has_ended = validation is not None and validation.has_ended
            best = None if validation is None else validation.best
    after = folder.reread()
    done = after.current.step
    if notice.came:
        raise signals.Terminated(f"{folder}: ended by SIGTERM, saved at step {done}")
    if done < model.train_steps and not has_ended:
        raise errors.UserError(
            f"{folder}: training ended at step {done} of {model.train_steps}, because the "
            "data ended or a file could not be written. Look at the logs with --verbose"
        )
    summary = result(after, model.train_steps, done - at, time.monotonic() - began)
    return summary | {"best": best, "metric": None if validation is None else validation.metric}


def _as_saved(configuration: Configuration, before: Checkpoint | None) -> Configuration:
    """Return the configuration that keeps the type of saved variables: float32, or bfloat16."""
    if before is None or not variables.is_rounded(before.path):
        return configuration
    files = tuple(file for file in configuration.files if file != EXACT_FILE)
    return dataclasses.replace(configuration, files=files)


def _built(task: str, folder: ModelFolder, run: TrainingRun) -> Model:
    """Check task, data and vocabulary, build the model, and record the run in the folder."""
    of_start = [paths.of(run.start.path).parent] if run.start else []
    tasks.check_task(task, folder.path, *of_start)
    tasks.check_data(task)
    with gin.unlock_config():
        gin.bind_parameter("mesh_train_dataset_fn.seed", run.request.seed)
    with schedules.counted_from(run.start.step if run.start else 0):
        model = session.build(folder.path)
    tasks.check_features(task, model)
    if run.start:
        tasks.check_vocabulary(task, paths.of(run.start.path).parent)
    vocabulary.remember(folder.path, tasks.used_vocabulary(task))
    run_record.remember(folder, run.request, run.start)
    if run.request.own_data:
        own_data.write(folder.path, run.request.own_data)
    return model


def _starting(model: Model, start: Checkpoint | None, request: Request) -> Any:
    """Return Mesh's Estimator, with initial values from --init_checkpoint if given."""
    if start is None:
        return model.estimator
    return StartingEstimator(model.estimator, start.path, request.partial_init)


def _summary_steps(model: Model, options: TrainOptions) -> int:
    return options.summary_steps or max(1, min(100, model.train_steps // 50))


def _hook(
    log: loss_log.LossLog,
    model: Model,
    options: TrainOptions,
    loss: tf.Tensor,
    notice: signals.Notice,
    pauses: progress.Pauses,
) -> tf.train.SessionRunHook:
    folder = log.path.parent
    return progress.training_hook(
        log,
        folder.name or str(folder),
        model.train_steps,
        _summary_steps(model, options),
        options.show_progress,
        loss,
        notice,
        pauses,
    )


def _probe(task: str, model: Model) -> probe.Probe:
    features = examples.probe_features(task, model)
    return probe.Probe(features, model_type=model.model_type, vocabulary=model.vocabulary)


def _announce(folder: ModelFolder, step: int, batches: int) -> str:
    """Return the notice about the wait before the first step of a resumed run."""
    return f"{folder}: resumes after step {step}, after skipping the {batches} batches it has seen"


def _train(estimator: ObservedEstimator, model: Model, log: loss_log.LossLog, begun: int) -> None:
    """Train until the last step; `begun` is the step of the checkpoint that the run began with."""
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
    """Return the lines of a run's loss.jsonl: step, loss, seconds, steps_per_second."""
    return loss_log.LossLog(paths.of(model_dir)).read()


def alphas(model_dir: str | os.PathLike[str], checkpoint: str | int = "latest") -> dict[str, Any]:
    """Return α of every `Mixture` in a checkpoint: layer scope -> float array [heads, terms]."""
    chosen = ModelFolder.at(model_dir).choose(checkpoint)[-1]
    return training_attention_summaries.alphas(chosen.path)


_ADVICE = "a smaller learning rate, more warm-up or --gin_file clip_gradients.gin"


def divergence_advice(model_dir: str | os.PathLike[str], step: int) -> str:
    """Return advice for a run whose loss became infinite or NaN at a step."""
    problem = f"the loss is no longer a finite number at step {step}"
    checkpoints = ModelFolder.at(model_dir).checkpoints
    finite = [checkpoint for checkpoint in checkpoints if _is_finite(checkpoint)]
    if not finite:
        return f"{problem}, and no checkpoint is finite. Train in a new folder with {_ADVICE}"
    later = len(checkpoints) - checkpoints.index(finite[-1]) - 1
    others = f"; {later} later checkpoints hold infinite values" if later else ""
    return (
        f"{problem}. The last finite checkpoint is {finite[-1].path}{others}. Train in a new "
        f"folder with --init_checkpoint, and with {_ADVICE}"
    )


def _is_finite(checkpoint: Checkpoint) -> bool:
    """Return whether all values of a checkpoint are finite."""
    reader = tf.train.load_checkpoint(checkpoint.path)
    types = reader.get_variable_to_dtype_map()
    return all(
        np.isfinite(reader.get_tensor(name).astype(np.float32)).all()
        for name, dtype in types.items()
        if dtype.is_floating
    )
