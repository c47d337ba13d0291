"""The best step of a model, according to its report of the validation split."""

import os
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records

KIND = "report of an evaluation"
_FIELDS = {"task", "metric", "step"}
SPLIT = "validation"  # never the split whose scores are reported


def report_path(model_dir: str | os.PathLike[str], task: str, split: str) -> paths.Path:
    """Return the default path of a report of `evaluate`."""
    return paths.of(model_dir) / f"eval_{task}_{split}.json"


def find(model_dir: str | os.PathLike[str], task: str | None) -> int:
    """Return the best step of a task, or of a mixture by the average of its benchmark.

    Raises:
      errors.UserError: no task is given, or its report names no best step, or several.
    """
    if task is None:
        raise errors.UserError("--checkpoints best needs a task: give --task, or a step")
    path = report_path(model_dir, task, SPLIT)
    entries = _entries(path)
    chosen = [entry for entry in entries if entry["task"] == task]
    chosen = chosen or [entry for entry in entries if entry["metric"] == "average"]
    steps = sorted({entry["step"] for entry in chosen})
    if not steps:
        raise errors.UserError(
            f"{path} names no best step of {task}. Run `mtf_synthesizer evaluate --task {task} "
            f"--split {SPLIT} --checkpoints all` in a folder with several checkpoints"
        )
    if len(steps) > 1:
        raise errors.UserError(
            f"{path} names several best steps, evaluated with different settings: choose one of "
            f"{', '.join(map(str, steps))}"
        )
    return steps[0]


def _entries(path: paths.Path) -> list[dict[str, Any]]:
    """Return the best steps in a report; empty if the report is missing."""
    report = records.read(path, KIND, _check, "Remove the file and evaluate again")
    entries = report["best"] if report else ()
    return [entry for entry in entries if set(entry) >= _FIELDS]


def _check(report: Any) -> None:
    steps = [entry["step"] for entry in report["best"] if set(entry) >= _FIELDS]
    if not all(type(step) is int for step in steps):
        raise ValueError("a step is not a whole number")
