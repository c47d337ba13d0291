"""JSON files of other commands that `report` collects; their content tells the command.

This module does not load TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.files.paths import Path
from mtf_synthesizer.studies.report.runs import (
    Run,
    is_step,
    model_folder,
    of_comparison,
    of_evaluations,
)


@dataclasses.dataclass(frozen=True)
class Document:
    """A file of `cost` or `bench`.

    Attributes:
      path: path of the file.
      content: parsed JSON.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        return self.content["rows"]


@dataclasses.dataclass
class CollectedResults:
    """All collected results, in the order of the files.

    Attributes:
      runs: evaluated models.
      costs: output of `cost --format json`.
      benchmarks: output of `bench --format json`.
      skipped: files that were not used, with reasons.
    """

    runs: list[Run] = dataclasses.field(default_factory=list)
    costs: list[Document] = dataclasses.field(default_factory=list)
    benchmarks: list[Document] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)


def collect(names: Iterable[str]) -> CollectedResults:
    """Read JSON files: given files, and all files of given folders.

    Raises:
      errors.UserError: a path does not exist.
    """
    collected = CollectedResults()
    kinds: dict[str, list[Document]] = {}
    for document in _read(_files(names), collected):
        kind = next((name for name, is_it in _KINDS.items() if is_it(document.content)), "")
        fault = _fault(kind, document)
        if fault is None:
            kinds.setdefault(kind, []).append(document)
        else:
            collected.skipped.append(
                f"{document.path} is not in the format of the command: {fault}"
            )
    collected.costs = kinds.get("cost", [])
    collected.benchmarks = kinds.get("benchmark", [])
    comparisons = kinds.get("comparison", [])
    for comparison in comparisons:
        _add(collected, comparison.path, functools.partial(_of_comparison, comparison))
    for alike in _of_same_model(kinds.get("evaluation", []), comparisons):
        _add(collected, alike[0].path, functools.partial(_of_evaluations, alike))
    return collected


def _of_comparison(document: Document) -> list[Run]:
    return of_comparison(document.path, document.content)


def _of_evaluations(alike: Sequence[Document]) -> list[Run]:
    return [of_evaluations([(document.path, document.content) for document in alike])]


def _files(names: Iterable[str]) -> list[Path]:
    """JSON files without duplicates; files of a folder are sorted by name."""
    files: list[Path] = []
    for path in map(paths.of, names):
        if not path.exists():
            raise errors.UserError(f"{path}: no such file or folder. Give folders with results")
        files += paths.matching_below(path, "*.json") if path.is_dir() else [path]
    return list({file.resolve(): file for file in files}.values())


def _read(files: Iterable[Path], collected: CollectedResults) -> Iterable[Document]:
    for path in files:
        try:
            content = records.parse(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            collected.skipped.append(f"{path} is not JSON: {' '.join(str(error).split())}")
            continue
        if isinstance(content, dict):
            yield Document(path, content)


def _add(collected: CollectedResults, path: Path, runs: Callable[[], Iterable[Run]]) -> None:
    try:
        collected.runs += runs()
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        collected.skipped.append(
            f"{path} is not in the format of the command: {type(error).__name__}: {error}"
        )


def _of_same_model(
    evaluations: Iterable[Document], comparisons: Iterable[Document]
) -> list[list[Document]]:
    """Group evaluations of one model on one split: a benchmark may be evaluated task by task.

    Evaluations of a comparison's models are left out, because the comparison's results have them.
    """
    known = {document.path.resolve().parent for document in comparisons}
    groups: dict[tuple[str, str], list[Document]] = {}
    for evaluation in evaluations:
        if evaluation.path.resolve().parent.parent in known or is_step(evaluation.path):
            continue
        folder = str(model_folder(evaluation.path, evaluation.content))
        groups.setdefault((folder, str(evaluation.content["split"])), []).append(evaluation)
    return list(groups.values())


def _fault(kind: str, document: Document) -> str | None:
    """The reason why a file can't be used; None for a usable file."""
    for name, types in _TYPES.get(kind, {}).items():
        value = document.content.get(name)
        if name in document.content and not isinstance(value, types):
            return f"{name} is {value!r:.60}"
    for row in document.rows if kind in _NUMBERS else ():
        for name in _NUMBERS[kind]:
            value = row.get(name, 1)
            if not isinstance(value, int | float) or not abs(value) < _MOST:
                return f"{name} is {value!r:.60}"
    return None


# Kind -> types of the fields that are read; then, the numbers of a row that calculations need.
_TYPES: Mapping[str, Mapping[str, type]] = {
    "evaluation": {"model_dir": str, "results": list},
    "benchmark": {"machine": dict, "flags": dict},
    "cost": {"notes": list},
}
_NUMBERS: Mapping[str, Sequence[str]] = {
    "benchmark": ("cpu_ms",),
    "cost": ("trainable_parameters", "relative_forward_flops"),
}
_MOST = 1e100


def _has_rows(content: Mapping[str, Any], *fields: str) -> bool:
    rows = content.get("rows")
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, dict) and all(field in row for field in fields) for row in rows)
    )


_KINDS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "evaluation": lambda c: {"model_dir", "task", "split", "results"} <= set(c),
    "comparison": lambda c: (
        {"experiment", "split", "rows"} <= set(c) and isinstance(c["rows"], dict)
    ),
    "benchmark": lambda c: {"size", "machine"} <= set(c) and _has_rows(c, "row"),
    "cost": lambda c: {"title", "notes"} <= set(c) and _has_rows(c, "row", "trainable_parameters"),
}
