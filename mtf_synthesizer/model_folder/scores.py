"""What is known of a folder's checkpoints, from the reports that `evaluate` has written there."""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.model_folder.checkpoints import Checkpoint

# Of the true targets: how text is decoded does not matter.
_TEACHER_FORCED = ("loss", "token_accuracy", "sequence_accuracy")
AVERAGE = "average"


@dataclasses.dataclass(frozen=True)
class Score:
    """A value of a checkpoint.

    Attributes:
      step: of the checkpoint.
      task: what it is of; a benchmark if it is an average.
      evaluated: the task or mixture that the report is of.
      split: of the task.
      metric: its name.
      value: the higher or the lower the better, as `metric_order` has it.
      examples: the number of examples that --examples asked for; None for all.
      settings: what else the value depends on, as JSON.
    """

    step: int
    task: str
    evaluated: str
    split: str
    metric: str
    value: float
    examples: int | None
    settings: str


def read(model_dir: str | os.PathLike[str], found: Sequence[Checkpoint]) -> list[Score]:
    """Every score of these checkpoints; none of others that had the same step in the folder.

    Raises:
      errors.UserError: a report can't be read.
    """
    fingerprints = {each.step: each.fingerprint for each in found}
    scores: list[Score] = []
    for path in paths.matching(paths.of(model_dir), "eval_*.json"):
        try:
            report = records.parse(path.read_text("utf-8"))
            scores += list(_of_report(report, fingerprints))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise errors.UserError(
                f"{path} is no report of an evaluation ({type(error).__name__}: {error}): remove "
                "it and evaluate again"
            ) from error
    return scores


def _of_report(report: Mapping[str, Any], fingerprints: Mapping[int, str]) -> Iterator[Score]:
    rows = [(str(row["task"]), row, _values(row)) for row in report["results"]]
    rows += [
        (str(row["benchmark"]), row, {AVERAGE: row["value"]}) for row in report.get("averages", ())
    ]
    for task, row, values in rows:
        step = row["step"]
        if step not in fingerprints or fingerprints[step] != row.get("checkpoint"):
            continue
        for metric, value in values.items():
            yield Score(
                step=step,
                task=task,
                evaluated=str(report["task"]),
                split=str(report["split"]),
                metric=metric,
                value=float(value),
                examples=row.get("limit"),
                settings=_settings(metric, row),
            )


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    return dict(row["metrics"]) | {name: row[name] for name in _TEACHER_FORCED if name in row}


def _settings(metric: str, row: Mapping[str, Any]) -> str:
    """What two values must have in common to be compared, as JSON."""
    found = {} if metric in _TEACHER_FORCED else {"decoding": row.get("decoding")}
    if metric == AVERAGE:
        found["tasks"] = sorted(row["tasks"])
    return json.dumps(found, sort_keys=True)


def of_metric(
    scores: Iterable[Score], metric: str, task: str | None, split: str
) -> dict[int, float]:
    """Step -> value of a metric.

    Args:
      scores: those of a folder.
      metric: its name.
      task: a task, or a benchmark or the mixture whose average is meant; may be None where only
        one has the metric.
      split: of the task.

    Raises:
      errors.UserError: no report has it, several tasks do, or the values can't be compared.
    """
    of_split = [each for each in scores if each.split == split]
    chosen = [
        each
        for each in of_split
        if each.metric == metric and (task is None or task in _names(each))
    ]
    if not chosen:
        raise _unknown(of_split, metric, task, split)
    _check_one(
        [each.task for each in chosen],
        f"several tasks have {metric} in their reports: give --task, one of",
    )
    _check_one(
        [f"{each.examples or 'all'} examples {each.settings}" for each in chosen],
        f"the values of {metric} were made with different settings and can't be compared. Remove "
        "the report and evaluate again; there are",
    )
    return {each.step: each.value for each in chosen}


def _names(score: Score) -> tuple[str, ...]:
    return (score.task, score.evaluated) if score.metric == AVERAGE else (score.task,)


def _check_one(values: Iterable[str], message: str) -> None:
    different = sorted(set(values))
    if len(different) > 1:
        raise errors.UserError(f"{message} {', '.join(different)}")


def _unknown(
    of_split: Sequence[Score], metric: str, task: str | None, split: str
) -> errors.UserError:
    of_task = "" if task is None else f" of {task}"
    known = sorted({f"{each.metric} of {each.task}" for each in of_split})
    return errors.UserError(
        f"no report of the split {split} says {metric}{of_task} of a checkpoint that is there. "
        f"`mtf_synthesizer evaluate --task {task or 'TASK'} --split {split} --checkpoints all` "
        f"finds it. Known: {', '.join(known) or 'nothing'}"
    )
