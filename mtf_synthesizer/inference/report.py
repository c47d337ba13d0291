"""The report that `evaluate` writes: rows of evaluations, averages, and the best steps."""

import importlib.metadata
import itertools
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import locks, paths, records, saving
from mtf_synthesizer.inference import averages
from mtf_synthesizer.model_folder import best
from mtf_synthesizer.model_folder.folder import ModelFolder

Row = Mapping[str, Any]
Report = dict[str, Any]

# Packages that scores may depend on; some may be missing.
PACKAGES = (
    "mtf_synthesizer",
    "tensorflow",
    "mesh-tensorflow",
    "t5",
    "seqio",
    "seqio-nightly",
    "sacrebleu",
    "sacremoses",
    "rouge-score",
    "scikit-learn",
    "scipy",
    "pycocoevalcap",
)
_MOST = 2**63  # JSON allows larger integers, whose mean overflows


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed `PACKAGES`."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            numbers[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return numbers


def read(
    path: str | os.PathLike[str],
    task: str,
    split: str,
    model_dir: str | os.PathLike[str] | None,
) -> Report | None:
    """Read the report that another evaluation is added to; None without a file.

    Args:
      path: path of the file.
      task, split: task and split that the report must have.
      model_dir: model folder that the report must have; None to skip this check, for a report in
        the model folder itself, because the folder may have been moved.

    Raises:
      errors.UserError: the file is another report or another file, which would be lost.
    """
    needed = {"task": task, "split": split}
    if model_dir is not None:
        needed["model_dir"] = str(model_dir)
    report: Report | None = records.read(
        paths.of(path),
        best.KIND,
        lambda report: _check_fields(report, needed),
        "Remove the file or choose another file with --output",
    )
    if report is None:
        return None
    for name, value in needed.items():
        if report[name] != value:
            raise errors.UserError(
                f"{path} is the report of another evaluation: {name} {report[name]}, not {value}. "
                "Remove the file or choose another file with --output"
            )
    return report


def _check_fields(report: Any, needed: Iterable[str]) -> None:
    missing = [name for name in needed if name not in report]
    if missing:
        raise KeyError(missing[0])
    if not all(map(_is_row, report["results"])):
        raise TypeError("results must be rows with task, step and metrics")


def _is_row(row: Any) -> bool:
    """Return whether a row has the values that best steps and averages need."""
    numbers = all(map(_is_number, row["metrics"].values()))
    return isinstance(row["task"], str) and type(row["step"]) is int and numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < _MOST)


def check_output(
    folder: ModelFolder, task: str, split: str, output: str | os.PathLike[str] | None
) -> paths.Path:
    """Return the path of a report; call this before the work.

    Args:
      folder: the model's folder.
      task, split: the evaluated task and its split.
      output: the file; None for the usual name in the model's folder.

    Raises:
      errors.UserError: the file can't be written, or is something else.
    """
    path = paths.of(output or best.report_path(folder, task, split))
    try:
        saving.check_file(path)
    except errors.UserError as error:
        raise errors.UserError(f"{error}. Give another file with --output") from error
    read(path, task, split, folder if output else None)
    return path


def add(report: Report, folder: ModelFolder, output: str | os.PathLike[str] | None) -> None:
    """Add rows to the report in a file, to which another evaluation may be adding others.

    Args:
      report: the new rows.
      folder: the model's folder, as it is now.
      output: the file; None for the usual name in the model's folder.
    """
    path = check_output(folder, report["task"], report["split"], output)
    with locks.wait_for_output(path):
        before = read(path, report["task"], report["split"], folder if output else None)
        saving.write_json(path, merged(before, report, folder.fingerprints))


def merged(before: Report | None, report: Report, fingerprints: best.Fingerprints) -> Report:
    """Return a report with the rows of an earlier report that were not evaluated again.

    Args:
      before: the earlier report.
      report: the new rows.
      fingerprints: fingerprints of the model's checkpoints, one of which is the best.
    """
    if before is None:
        return summed_up(report, report["results"], fingerprints)
    if "matmul_precision" in report:  # reports of earlier releases lack it; all were in float32
        before = {"matmul_precision": "float32", **before}
    again = {_identity(row) for row in report["results"]}
    made_with = {
        name: before[name]
        for name in ("versions", "vocabulary", "matmul_precision")
        if name in before and before[name] != report.get(name)
    }
    kept = [made_with | row for row in before["results"] if _identity(row) not in again]
    rows = sorted([*kept, *report["results"]], key=lambda row: row["step"])
    return summed_up(report, rows, fingerprints)


def summed_up(
    header: Report, rows: Sequence[Row], fingerprints: best.Fingerprints | None = None
) -> Report:
    """Return a report of rows: results, averages of benchmarks, and best steps.

    Args:
      header: all else in the report.
      rows: one row for each checkpoint and task.
      fingerprints: fingerprints of the checkpoints that may be the best; None for all rows.
    """
    report = header | {"results": list(rows), "averages": _averages(rows)}
    return report | {"best": best.steps(report, fingerprints)}


def _identity(row: Row) -> tuple[str, ...]:
    return (row["task"], *best.settings(row))


def _averages(rows: Iterable[Row]) -> list[Report]:
    """Return the averages of rows with equal settings."""
    reports: list[Report] = []
    for alike in best.grouped(rows, best.settings):
        settings = {name: alike[0].get(name) for name in best.SETTINGS}
        scores = {row["task"]: row["metrics"] for row in alike}
        reports += [settings | average for average in averages.averages(scores)]
    return reports


def describe(report: Report) -> str:
    """Return the report for a terminal: a line per row, averages, best steps and notes."""
    rows = report["results"]
    width = max([len("task"), *(len(row["task"]) for row in rows)])
    lines = [f"{'step':>8}  {'task':<{width}} {'examples':>8}  metrics"]
    lines += [_line(row, width) for row in rows]
    lines += [_average_line(average) for average in report.get("averages", ())]
    lines += [_best_line(best) for best in report.get("best", ())]
    signatures = (row.get("signatures", {}).items() for row in rows)
    lines += _once(f"{name}: {text}" for name, text in itertools.chain(*signatures))
    lines += _once(f"note: {row['task']}: {note}" for row in rows for note in row.get("notes", ()))
    lines += [f"left out: {why}" for why in report.get("left_out", {}).values()]
    return "\n".join(lines)


def _line(row: Row, width: int) -> str:
    shown = {**row["metrics"], **{k: row[k] for k in ("loss", "token_accuracy") if k in row}}
    # Rounding errors such as 5e-20 are shown as 0.
    values = "  ".join(f"{k} {v if abs(v) > 1e-4 else 0:.4g}" for k, v in shown.items())
    return f"{row['step']:>8}  {row['task']:<{width}} {row['examples']:>8}  {values}"


def _best_line(best: Row) -> str:
    if "step" in best:
        return f"best of {best['task']}: step {best['step']}, {best['metric']} {best['value']:.4g}"
    return (
        f"best of {best['task']}: unknown, because {best['metric']} may be better when it is lower "
        "or higher"
    )


def _average_line(average: Row) -> str:
    missing = ", ".join(average["missing"])
    return (
        f"{average['step']:>8}  {average['benchmark']} average {average['value']:.2f} of "
        f"{', '.join(average['tasks'])}" + (f"; missing: {missing}" if missing else "")
    )


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
