"""Which step of a model is the best, as its report of the validation split says."""

import os
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records

SPLIT = "validation"  # never the split that scores are reported of


def report_path(model_dir: str | os.PathLike[str], task: str, split: str) -> paths.Path:
    """Where `evaluate` writes its result unless told otherwise."""
    return paths.of(model_dir) / f"eval_{task}_{split}.json"


def find(model_dir: str | os.PathLike[str], task: str | None) -> int:
    """The best step of a task, or of a mixture by the average of its benchmark.

    Raises:
      errors.UserError: there is no report that says so, or it names several.
    """
    if task is None:
        raise errors.UserError("best is the best step of a task: give --task, or a step")
    path = report_path(model_dir, task, SPLIT)
    entries = _entries(path)
    chosen = [each for each in entries if each["task"] == task]
    chosen = chosen or [each for each in entries if each["metric"] == "average"]
    steps = sorted({each["step"] for each in chosen})
    if not steps:
        raise errors.UserError(
            f"{path} has no best step of {task}. `mtf_synthesizer evaluate --task {task} --split "
            f"{SPLIT} --checkpoints all` finds it, where the folder has several checkpoints"
        )
    if len(steps) > 1:
        raise errors.UserError(
            f"{path} has several best steps, made with different settings: give one of "
            f"{', '.join(map(str, steps))}"
        )
    return steps[0]


def _entries(path: paths.Path) -> list[dict[str, Any]]:
    """What a report says of best steps; nothing where there is none."""
    if not path.exists():
        return []
    try:
        entries: list[dict[str, Any]] = records.parse(path.read_text("utf-8"))["best"]
        found = [each for each in entries if {"task", "metric", "step"} <= set(each)]
        if not all(type(each["step"]) is int for each in found):
            raise ValueError("a step is no whole number")
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.UserError(
            f"{path} is no report of an evaluation ({type(error).__name__}: {error}): remove it "
            "and evaluate again"
        ) from error
