"""Which checkpoints of a folder are kept, and the removal of the others."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder import files, state
from mtf_synthesizer.model_folder.files import Saved


@dataclasses.dataclass(frozen=True)
class Ranking:
    """By what checkpoints are compared.

    Attributes:
      metric: its name.
      values: step -> value; steps that were not evaluated have none.
      lower: whether the lowest value is the best.
      keep: so many of the best are kept.
    """

    metric: str
    values: Mapping[int, float]
    lower: bool
    keep: int

    def best(self) -> list[int]:
        """The steps to keep, the best first; of equals the earliest, never what is no number."""
        sign = 1 if self.lower else -1
        known = [step for step, value in self.values.items() if not math.isnan(value)]
        return sorted(known, key=lambda step: (sign * self.values[step], step))[: self.keep]


@dataclasses.dataclass(frozen=True)
class PrunePlan:
    """What is to become of a folder.

    Attributes:
      kept: step -> why.
      goes_on: the name of the checkpoint that training goes on from.
      listed: the names of those that a training with `keep_checkpoint_max` may remove later: the
        last ones, not the best.
      removed: the others, and what is left of checkpoints that were never finished.
    """

    kept: Mapping[int, str]
    goes_on: str
    listed: Sequence[str]
    removed: Sequence[Saved]


def plan(model_dir: str | os.PathLike[str], keep_last: int, ranking: Ranking | None) -> PrunePlan:
    """Decides; the newest complete checkpoint and the one that training goes on from always stay.

    A checkpoint that was not evaluated can't be ranked, so it stays as well.

    Raises:
      errors.UserError: the folder has no complete checkpoint.
    """
    found = files.saved(model_dir)
    complete = [each for each in found if each.complete]
    if not complete:
        raise errors.UserError(f"no complete checkpoint in {model_dir}")
    last = complete[-keep_last:]
    goes_on = state.current(model_dir)
    kept = _reasons(complete, ranking)
    kept |= {goes_on.step: "training goes on from it"}
    kept |= {each.step: "one of the last" for each in last}
    # A later one without all of its files may still be on its way from another machine.
    removed = [each for each in found if each.step not in kept and each.step < complete[-1].step]
    return PrunePlan(
        kept=dict(sorted(kept.items())),
        goes_on=goes_on.name,
        listed=[each.name for each in last],
        removed=removed,
    )


def _reasons(complete: Sequence[Saved], ranking: Ranking | None) -> dict[int, str]:
    """Why checkpoints stay that are not among the last."""
    if ranking is None:
        return {}
    reasons = {
        each.step: f"not evaluated: no {ranking.metric}"
        for each in complete
        if each.step not in ranking.values
    }
    for place, step in enumerate(ranking.best(), 1):
        reasons[step] = f"{ranking.metric} {ranking.values[step]:.4g}, number {place}"
    return reasons


def carry_out(model_dir: str | os.PathLike[str], wanted: PrunePlan) -> None:
    """Removes what is not kept; nobody may train in the folder meanwhile.

    Whenever this is interrupted, the folder is one to go on from, and the same again removes what
    is left: TensorFlow's list comes first, then of each checkpoint the index, then its values.
    """
    state.write(model_dir, wanted.goes_on, wanted.listed)
    for each in wanted.removed:
        files.remove(each)
