"""Scores of a folder's checkpoints, read from the reports of `evaluate`."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import records
from mtf_synthesizer.model_folder import best
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder

# Metrics of the true targets, which do not depend on decoding.
_TEACHER_FORCED = ("loss", "token_accuracy", "sequence_accuracy")
AVERAGE = "average"


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric value of a checkpoint.

    Attributes:
      step: step of the checkpoint.
      task: task of the value; the benchmark if the value is an average.
      evaluated: task or mixture of the report.
      split: split of the task.
      metric: name of the metric.
      value: value of the metric; `metric_order` knows whether lower or higher is better.
      examples: number of examples that --examples asked for; None for all.
      settings: further settings that the value depends on, as JSON.
    """

    step: int
    task: str
    evaluated: str
    split: str
    metric: str
    value: float
    examples: int | None
    settings: str


def read(folder: ModelFolder, checkpoint: Checkpoint | None = None) -> list[Score]:
    """Return every score of a folder's checkpoints, recognised by their fingerprints.

    Scores of other checkpoints that had the same step are left out.

    Args:
      folder: the model folder.
      checkpoint: the only checkpoint whose scores are read, which may be the one that the folder
        keeps apart; None for every checkpoint of the folder.

    Raises:
      errors.UserError: a report can't be read.
    """
    scores: list[Score] = []
    known = folder.fingerprints if checkpoint is None else {checkpoint.step: checkpoint.fingerprint}
    for path in folder.reports:
        # Reading the scores is the check of a report.
        records.read(
            path,
            best.KIND,
            lambda report: scores.extend(list(_of_report(report, known))),
            "Remove the file and evaluate again",
        )
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
    """Return the settings that two comparable values have in common, as JSON."""
    settings = {} if metric in _TEACHER_FORCED else {"decoding": row.get("decoding")}
    if "data_sha256" in row:
        settings["data_sha256"] = row["data_sha256"]
    if row.get("lengths"):  # other than in training
        settings["lengths"] = row["lengths"]
    if metric == AVERAGE:
        settings["tasks"] = sorted(row["tasks"])
    return json.dumps(settings, sort_keys=True)


def of_metric(
    scores: Iterable[Score], metric: str, task: str | None, split: str
) -> dict[int, float]:
    """Map step -> value of a metric.

    Args:
      scores: scores of a folder.
      metric: name of the metric.
      task: a task; for an average, its benchmark or mixture. None if only one task has the metric.
      split: split of the task.

    Raises:
      errors.UserError: no report has the metric, several tasks do, or the values can't be compared.
    """
    of_split = [score for score in scores if score.split == split]
    chosen = [
        score
        for score in of_split
        if score.metric == metric and (task is None or task in _names(score))
    ]
    if not chosen:
        raise _unknown(of_split, metric, task, split)
    _check_one(
        [score.task for score in chosen],
        f"several tasks have {metric} in their reports. Give --task, one of",
    )
    _check_one(
        [f"{score.examples or 'all'} examples {score.settings}" for score in chosen],
        f"the values of {metric} were evaluated with different settings and can't be compared. "
        "Remove a report and evaluate again; settings:",
    )
    return {score.step: score.value for score in chosen}


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
    known = sorted({f"{score.metric} of {score.task}" for score in of_split})
    return errors.UserError(
        f"no report of the split {split} has {metric}{of_task} for an existing checkpoint. Run "
        f"`mtf_synthesizer evaluate --task {task or 'TASK'} --split {split} --checkpoint all`. "
        f"Known: {', '.join(known) or 'nothing'}"
    )
