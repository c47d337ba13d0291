"""Evaluation while a model trains: scores, the best checkpoint, and early stopping."""

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder import kept_best, metric_order
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.loss_log import VALIDATION, LossLog
from mtf_synthesizer.training.progress import Pauses
from mtf_synthesizer.upstream.model import Model

Scores = Mapping[str, float]


class Scorer(Protocol):
    """Scores of checkpoints under the gin configuration of the training.

    `training` imports nothing of `inference`, so the caller of `train` hands in the scorer:
    `inference.validator.Validator`.

    Attributes:
      split: split of the scores.
    """

    split: str

    @property
    def read(self) -> int:
        """Number of examples that `begin` has read."""

    def begin(self, folder: ModelFolder, task: str, trained: Model) -> Sequence[str]:
        """Read the examples and return the names of the scores, the task's first metric first."""

    def score(self, checkpoint: Checkpoint) -> Scores:
        """Return the scores of a checkpoint."""


@dataclasses.dataclass(frozen=True)
class Validation:
    """Evaluation while a model trains.

    Attributes:
      scorer: computes the scores.
      every: steps between evaluations; the last step is evaluated too.
      metric: name of the score that chooses the best checkpoint; None for the first score.
      lower: whether the lowest value is the best; None for a known metric.
      early_stopping: number of evaluations without a better value after which the training ends;
        None to train until the last step.
    """

    scorer: Scorer
    every: int
    metric: str | None = None
    lower: bool | None = None
    early_stopping: int | None = None


@dataclasses.dataclass(frozen=True)
class Choice:
    """The score that chooses the best checkpoint.

    Attributes:
      metric: name of the score.
      lower: whether the lowest value is the best.
      patience: `Validation.early_stopping`.
    """

    metric: str
    lower: bool
    patience: int | None

    def best(self, rows: Sequence[Scores]) -> Scores | None:
        """Return the row with the best value, the earliest among equals; None without any value."""
        sign = 1 if self.lower else -1
        known = [row for row in rows if not math.isnan(row.get(self.metric, math.nan))]
        return min(known, key=lambda row: (sign * row[self.metric], row["step"]), default=None)

    def has_ended(self, rows: Sequence[Scores]) -> bool:
        """Return whether the last evaluations brought no better value."""
        best = self.best(rows)
        if self.patience is None or not rows:
            return False
        since = [row for row in rows if best is None or row["step"] > best["step"]]
        return len(since) >= self.patience


class ValidationListener(tf_estimator.CheckpointSaverListener):
    """A listener that evaluates saved checkpoints, and keeps the best one apart.

    Separate graphs and sessions evaluate, so the graph of the training stays as it is. The line in
    loss.jsonl is written last: a run that is killed before that line evaluates the checkpoint again
    when it resumes.

    Args:
      validation: the evaluation.
      folder: folder of the model.
      log: loss.jsonl of the run.
      shown: the display of the run.
      steps: step of the checkpoint that the run began with (0 without one), and the last step.
    """

    def __init__(
        self,
        validation: Validation,
        folder: ModelFolder,
        log: LossLog,
        shown: Pauses,
        steps: tuple[int, int],
    ):
        self._validation, self._folder, self._log, self._shown = validation, folder, log, shown
        self._begun, self._end = steps

    def prepare(self, task: str, trained: Model) -> None:
        """Read the examples and choose the metric.

        Raises:
          errors.UserError: the task has no such metric or no validation split.
        """
        self._task = task
        names = list(self._validation.scorer.begin(self._folder, task, trained))
        metric = self._validation.metric or names[0]
        errors.check(f"metric of {task}", metric, names)
        lower = self._validation.lower
        if lower is None:
            lower = metric_order.lower_is_better(metric)
        self._choice = Choice(metric, lower, self._validation.early_stopping)

    @property
    def has_ended(self) -> bool:
        """True if early stopping ended the run."""
        return self._choice.has_ended(self._log.validations())

    @property
    def best(self) -> Scores | None:
        """The best scores so far, with their step."""
        return self._choice.best(self._log.validations())

    @property
    def metric(self) -> str:
        """The score that chooses the best checkpoint."""
        return self._choice.metric

    def after_save(self, session: tf.Session, global_step_value: int) -> bool:
        """Evaluate the checkpoint if its step is due; return whether training ends."""
        step = int(global_step_value)
        if self._is_due(step):
            self._evaluate(step)
        return self.has_ended

    def _is_due(self, step: int) -> bool:
        """Return whether a multiple of `every` was reached since the last evaluation."""
        last = max((int(row["step"]) for row in self._log.validations()), default=self._begun)
        every = self._validation.every
        is_reached = (step - self._begun) // every > (last - self._begun) // every
        return is_reached or (step == self._end and step > last)

    def _evaluate(self, step: int) -> None:
        rows = self._log.validations()
        began = time.monotonic()
        checkpoint = Checkpoint(str(self._folder.path / f"model.ckpt-{step}"), step)
        scores = dict(self._validation.scorer.score(checkpoint))
        best = self._choice.best([*rows, {"step": step, **scores}])
        if best is not None and best["step"] == step:
            value = scores[self._choice.metric]
            kept_best.keep(
                self._folder.path,
                kept_best.KeptBest(
                    self._task,
                    self._choice.metric,
                    step,
                    value,
                    self._validation.scorer.split,
                    self._validation.scorer.read,
                    scores,
                ),
            )
        self._log.append_scores(step, scores)
        self._write_summary(step, scores)
        self._shown.pause(time.monotonic() - began, self._text(step, scores, best))

    def _write_summary(self, step: int, scores: Scores) -> None:
        summary = tf.Summary()
        for name, value in scores.items():
            summary.value.add(tag=VALIDATION + name, simple_value=value)
        tf.summary.FileWriterCache.get(str(self._folder.path)).add_summary(summary, step)

    def _text(self, step: int, scores: Scores, best: Scores | None) -> str:
        metric = self._choice.metric
        text = f"validation {metric} {scores.get(metric, math.nan):.4g} at step {step}"
        if best is not None and best["step"] != step:
            text += f" (best {best[metric]:.4g} at step {best['step']:.0f})"
        return text
