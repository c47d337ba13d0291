"""Pruning of a model folder: the checkpoints to keep, and removal of the others."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder import files, state
from mtf_synthesizer.model_folder.files import Saved
from mtf_synthesizer.model_folder.folder import ModelFolder


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Scores by which checkpoints are compared.

    Attributes:
      metric: name of the metric.
      values: step -> value; a step that was not evaluated has no value.
      lower: whether the lowest value is the best.
      keep: number of best checkpoints to keep.
    """

    metric: str
    values: Mapping[int, float]
    lower: bool
    keep: int

    def best(self) -> list[int]:
        """Return the steps to keep, best first, the earliest first among equals, without NaN."""
        sign = 1 if self.lower else -1
        known = [step for step, value in self.values.items() if not math.isnan(value)]
        return sorted(known, key=lambda step: (sign * self.values[step], step))[: self.keep]


@dataclasses.dataclass(frozen=True)
class PrunePlan:
    """Checkpoints of a folder to keep and to remove.

    Attributes:
      kept: step -> reason to keep it.
      resume_from: name of the checkpoint that training resumes from.
      listed: names that a training with `keep_checkpoint_max` may remove later: the last
        checkpoints, not the best.
      removed: the other checkpoints, and files of unfinished checkpoints.
    """

    kept: Mapping[int, str]
    resume_from: str
    listed: Sequence[str]
    removed: Sequence[Saved]


def plan(folder: ModelFolder, keep_last: int, ranking: Ranking | None) -> PrunePlan:
    """Choose the checkpoints to keep.

    The newest complete checkpoint and the checkpoint that training resumes from always stay. A
    checkpoint without evaluation can't be ranked, so it stays as well.

    Raises:
      errors.UserError: the folder has no complete checkpoint.
    """
    checkpoints = files.saved(folder)
    complete = [checkpoint for checkpoint in checkpoints if checkpoint.complete]
    if not complete:
        raise errors.UserError(f"no complete checkpoint in {folder}")
    last = complete[-keep_last:]
    resume_from = folder.current
    kept = _reasons(complete, ranking)
    kept |= {resume_from.step: "training resumes from it"}
    kept |= {checkpoint.step: "one of the last" for checkpoint in last}
    # A later incomplete checkpoint may still be arriving from another machine.
    removed = [
        checkpoint
        for checkpoint in checkpoints
        if checkpoint.step not in kept and checkpoint.step < complete[-1].step
    ]
    return PrunePlan(
        kept=dict(sorted(kept.items())),
        resume_from=resume_from.name,
        listed=[checkpoint.name for checkpoint in last],
        removed=removed,
    )


def _reasons(complete: Sequence[Saved], ranking: Ranking | None) -> dict[int, str]:
    """Return the reasons to keep checkpoints that are not among the last."""
    if ranking is None:
        return {}
    reasons = {
        checkpoint.step: f"not evaluated: no {ranking.metric}"
        for checkpoint in complete
        if checkpoint.step not in ranking.values
    }
    for place, step in enumerate(ranking.best(), 1):
        reasons[step] = f"{ranking.metric} {ranking.values[step]:.4g}, number {place}"
    return reasons


def carry_out(folder: ModelFolder, decisions: PrunePlan) -> None:
    """Remove the other checkpoints; no run may train in the folder meanwhile.

    After an interruption the folder can be resumed from, and the same command finishes the work:
    TensorFlow's list is written first, then each checkpoint loses its index, then its values.
    """
    state.write(folder.path, decisions.resume_from, decisions.listed)
    for checkpoint in decisions.removed:
        files.remove(checkpoint)
