"""The best step of a model, according to reports of its evaluation."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.model_folder import metric_order

KIND = "report of an evaluation"
SPLIT = "validation"  # never the split whose scores are reported
SPLITS = (SPLIT, "dev", "valid")  # names of this split; the first with a report counts
# Rows with equal values of these keys, and both with or both without a loss, are one evaluation.
SETTINGS = ("step", "checkpoint", "limit", "decoding", "lengths", "data_sha256")

Row = Mapping[str, Any]
Fingerprints = Mapping[int, str]  # step -> fingerprint of its checkpoint


def report_path(model_dir: str | os.PathLike[str], task: str, split: str) -> paths.Path:
    """Return the default path of a report of `evaluate`."""
    return paths.of(model_dir) / f"eval_{task}_{split}.json"


def find(model_dir: str | os.PathLike[str], task: str | None, fingerprints: Fingerprints) -> int:
    """Return the best step of a task, or of a mixture by the average of its benchmark.

    Args:
      model_dir: the model's folder.
      task: a task or mixture; None, as for lines of text, if all reports of the model must name the
        same step.
      fingerprints: fingerprints of the folder's checkpoints. Rows of checkpoints that were replaced
        or removed do not count.

    Raises:
      errors.UserError: no report names a best step, or they name several.
    """
    if task is None:
        return _of_all_tasks(paths.of(model_dir), fingerprints)
    reports = [report_path(model_dir, task, split) for split in SPLITS]
    path = next((path for path in reports if path.exists()), reports[0])
    chosen = _of_task(_entries(path, fingerprints), task)
    steps = sorted({entry["step"] for entry in chosen if "step" in entry})
    if len(steps) == 1:
        return int(steps[0])
    if steps:
        raise errors.UserError(
            f"{path} names several best steps, evaluated with different settings: choose one of "
            f"{', '.join(map(str, steps))}"
        )
    if chosen:
        metric = chosen[0]["metric"]
        raise errors.UserError(
            f"{path} names no best step of {task}: {metric} may be better when it is lower or "
            "higher. Choose a step, or keep the best ones with `mtf_synthesizer checkpoints prune "
            f"--metric {metric} --better lower`, or higher"
        )
    raise errors.UserError(
        f"{path} names no best step of {task} among the checkpoints that exist now. Run "
        f"`mtf_synthesizer evaluate --task {task} --split {SPLIT} --checkpoint all` in a "
        "folder with several checkpoints"
    )


def _of_all_tasks(model_dir: paths.Path, fingerprints: Fingerprints) -> int:
    """Return the best step that every report of a model's validation splits names."""
    task_of: dict[int, str] = {}
    for split in SPLITS:
        for path in paths.matching(model_dir, f"eval_*_{split}.json"):
            task = path.name.removeprefix("eval_").removesuffix(f"_{split}.json")
            entries = _of_task(_entries(path, fingerprints), task)
            task_of |= {e["step"]: task_of.get(e["step"], task) for e in entries if "step" in e}
    if not task_of:
        raise errors.UserError(
            f"no report in {model_dir} names a best step. Run `mtf_synthesizer evaluate --task "
            f"TASK --split {SPLIT} --checkpoint all`, or choose a step"
        )
    if len(task_of) > 1:
        named = ", ".join(f"{step} (of {task})" for step, task in sorted(task_of.items()))
        raise errors.UserError(
            f"the reports in {model_dir} name several best steps: choose one of {named}"
        )
    return next(iter(task_of))


def _of_task(entries: list[dict[str, Any]], task: str) -> list[dict[str, Any]]:
    """Return the entries of a task, else of the averages."""
    chosen = [entry for entry in entries if entry["task"] == task]
    return chosen or [entry for entry in entries if entry["metric"] == "average"]


def _entries(path: paths.Path, fingerprints: Fingerprints) -> list[dict[str, Any]]:
    """Return the best steps in a report; empty if the report is missing."""
    entries: list[dict[str, Any]] = []
    # Finding the best steps is the check of a report.
    records.read(
        path,
        KIND,
        lambda report: entries.extend(steps(report, fingerprints)),
        "Remove the file and evaluate again",
    )
    return entries


def steps(
    report: Mapping[str, Any], fingerprints: Fingerprints | None = None
) -> list[dict[str, Any]]:
    """Return the best step of each task that was evaluated at several steps, and of averages.

    Args:
      report: results and averages of an evaluation.
      fingerprints: fingerprints of the checkpoints that count; None to count all rows.

    Returns:
      Dictionaries with task (or benchmark), metric, step and value. Step and value are missing
      where the metric may be better when it is lower or higher.
    """
    entries: list[dict[str, Any]] = []
    rows = _current(report["results"], fingerprints)
    for alike in grouped(rows, lambda row: (row["task"], *settings(row)[2:])):
        metric = next(iter(alike[0]["metrics"]), None)
        values = {row["step"]: row["metrics"][metric] for row in alike if metric in row["metrics"]}
        entries += _best_step(alike[0]["task"], metric, values)
    averages = _current(report.get("averages", ()), fingerprints)
    for alike in grouped(averages, lambda row: (row["benchmark"], *settings(row)[2:])):
        values = {row["step"]: row["value"] for row in alike}
        entries += _best_step(alike[0]["benchmark"], "average", values)
    return entries


def _current(rows: Iterable[Row], fingerprints: Fingerprints | None) -> list[Row]:
    """Return the rows of checkpoints that exist: another may have replaced one at its step."""
    if fingerprints is None:
        return list(rows)
    return [row for row in rows if fingerprints.get(row["step"], "") == row.get("checkpoint")]


def _best_step(task: str, metric: str | None, values: Mapping[int, float]) -> list[dict[str, Any]]:
    """Return the earliest of the best steps; empty without two comparable values (no NaN)."""
    values = {step: value for step, value in values.items() if not math.isnan(value)}
    if metric is None or len(values) < 2:
        return []
    if not metric_order.is_known(metric):
        return [{"task": task, "metric": metric}]
    chosen = min if metric_order.lower_is_better(metric) else max
    step = chosen(sorted(values), key=lambda step: values[step])
    return [{"task": task, "metric": metric, "step": step, "value": values[step]}]


def settings(row: Row) -> tuple[str, ...]:
    """Return the settings of a row: those of two rows of one evaluation are equal."""
    return (*(json.dumps(row.get(name)) for name in SETTINGS), str("loss" in row))


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> list[list[Row]]:
    """Return groups of rows with the same key, in the order in which the keys occur first."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())
