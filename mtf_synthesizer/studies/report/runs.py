"""Evaluated models for `report`: row, experiment, seed, steps and metrics."""

from __future__ import annotations

import dataclasses
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mtf_synthesizer.config import by_layer
from mtf_synthesizer.config.request import TASK_MODULES
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.files.paths import Path
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies import variants
from mtf_synthesizer.studies.report import paper

_RECORD = "run.json"
_SETTINGS = "settings.json"

Metrics = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
    """One trained and evaluated model.

    Attributes:
      experiment: a name of gin/experiments; None for another or an unknown experiment.
      row: a name as in `paper`; the model's folder if the row is unknown.
      seed: seed of the training; None if unknown.
      steps: training steps; None if unknown. Of a comparison with `--steps`, that number, so the
        steps of the models that it started from do not count.
      split: split of the evaluation.
      tasks: task -> its metrics; the name is empty if only one task was evaluated.
      falls: whether its validation loss still fell; None if unknown.
      limit: maximum number of evaluated examples of each task; None for all.
      commands: commands that reproduce the run.
      start: path of the models with its initial values; None if they were drawn.
    """

    experiment: str | None
    row: str
    seed: int | None
    steps: int | None
    split: str
    tasks: Mapping[str, Metrics]
    falls: bool | None
    limit: int | None
    commands: tuple[str, ...]
    start: str | None = None

    def __post_init__(self) -> None:
        """Check values, because files may contain anything.

        Raises:
          TypeError: a value has another type.
          ValueError: a metric is outside the range of scores.
        """
        for name, types in _TYPES.items():
            value = getattr(self, name)
            if not isinstance(value, types):
                raise TypeError(f"{name} is {value!r:.60}")
        for metrics in self.tasks.values():
            for name, value in metrics.items():
                if value < -_MOST or _MOST < value < math.inf:  # NaN and infinity pass
                    raise ValueError(f"{name} is {value!r}")


_MOST = 1e100
_TYPES: Mapping[str, tuple[type, ...]] = {
    "experiment": (str, type(None)),
    "row": (str,),
    "seed": (int, type(None)),
    "limit": (int, type(None)),
    "start": (str, type(None)),
}


def of_comparison(path: Path, content: Mapping[str, Any]) -> list[Run]:
    """The runs of a comparison.

    Args:
      path: path of its results.json. The folders that `compare` wrote beside this file give seeds
        and steps.
      content: content of the file.
    """
    runs: list[Run] = []
    command = _comparison_command(path.parent, content)
    settings = _read(path.parent / _SETTINGS)
    start = settings.get("init_from")
    for row, summary in content["rows"].items():
        by_seed = _by_seed(path.parent, content["split"], row, summary)
        complete = len(by_seed) == summary["runs"]
        for index, (seed, metrics) in enumerate(by_seed):
            runs.append(
                Run(
                    experiment=content["experiment"],
                    row=row,
                    seed=seed,
                    steps=settings.get("steps") or _steps(path.parent, row, seed),
                    split=content["split"],
                    tasks=_by_task(metrics),
                    falls=index < summary["undertrained"] if complete else None,
                    limit=None,
                    commands=(command,),
                    start=start,
                )
            )
    return runs


def _by_seed(
    folder: Path, split: str, row: str, summary: Mapping[str, Any]
) -> list[tuple[int | None, Metrics]]:
    """The metrics of each run of a row, including runs of earlier commands.

    Seeds are None if only the results were kept.
    """
    count = int(summary["runs"])
    seeds = _seeds(folder, row, split)
    if len(seeds) >= count:
        steps = [_scores(folder, row, seed, split) for seed in seeds]
        return [
            (seed, {k: float(v) for k, v in step["metrics"].items()})
            for seed, step in zip(seeds, steps, strict=True)
        ]
    values = summary["metrics"].items()
    return [(None, {k: float(v["values"][n]) for k, v in values}) for n in range(count)]


def _seeds(folder: Path, row: str, split: str) -> list[int]:
    row = variants.folder_name(row)
    pattern = re.compile(rf"{re.escape(row)}_seed(\d+)_(?:scores|{re.escape(split)})\.json")
    matches = [pattern.fullmatch(path.name) for path in (folder / "steps").glob("*.json")]
    return sorted({int(match[1]) for match in matches if match})


def _scores(folder: Path, row: str, seed: int, split: str) -> Mapping[str, Any]:
    """The stored scores of a run; older comparisons named the step after the split."""
    begin = f"{variants.folder_name(row)}_seed{seed}"
    steps = folder / "steps"
    return _read(steps / f"{begin}_scores.json") or _read(steps / f"{begin}_{split}.json")


def _steps(folder: Path, row: str, seed: int | None) -> int | None:
    path = folder / "steps" / f"{variants.folder_name(row)}_seed{seed}_train.json"
    return int(records.parse(path.read_text("utf-8"))["step"]) if path.is_file() else None


def _by_task(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Convert {"task/metric": value} to {"task": {"metric": value}}."""
    by_task: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        task, _, metric = name.rpartition("/")
        by_task.setdefault(task, {})[metric] = value
    return by_task


def _comparison_command(folder: Path, content: Mapping[str, Any]) -> str:
    """The command of a comparison, with its finished rows."""
    rows = content["rows"]
    seeds = sorted({seed for row in rows for seed in _seeds(folder, row, content["split"])})
    parts = ["mtf_synthesizer", "compare", "--experiment", content["experiment"]]
    parts += _rows_of_command(rows)
    parts += _flag("--seeds", ",".join(map(str, seeds)))
    settings = _read(folder / _SETTINGS)
    parts += ["--split", content["split"]]
    for name in ("validation_split", "steps", "vocabulary", "tfds_data_dir"):
        parts += _flag(f"--{name}", settings.get(name))
    parts += _flag("--init_checkpoint", settings.get("init_from"))
    parts += _lists(settings)
    precisions = {name for row in rows.values() for name in row.get("matmul_precision", ())}
    if len(precisions) == 1:
        parts += _flag("--matmul_precision", *precisions)
    return shlex.join([*parts, "--output", str(folder)])


def _rows_of_command(rows: Iterable[str]) -> list[str]:
    """The flags of the rows."""
    names: list[str] = []
    listed: list[str] = []
    for row in rows:
        is_listed = by_layer.is_by_layer(row.partition(" ")[0])
        (listed if is_listed else names).append(row)
    parts = _flag("--rows", ",".join(names) or None)
    for row in listed:
        parts += [by_layer.FLAG, row]
    return parts


# Setting -> the flag that is given for each of its values; and one that takes all of them.
_REPEATED = {
    "gin_files": "--gin_file",
    "gin_params": "--gin_param",
    "evaluation_gin_files": "--evaluation_gin_file",
    "modules": "--module_import",
}
_CACHES = "additional_task_cache_dirs"


def _lists(settings: Mapping[str, Any]) -> list[str]:
    """The flags of settings that are lists."""
    parts = _flag(f"--{_CACHES}", ",".join(map(str, settings.get(_CACHES) or ())))
    for name, flag in _REPEATED.items():
        for value in settings.get(name) or ():
            if value not in TASK_MODULES:
                parts += [flag, str(value)]
    return parts


def _flag(name: str, value: Any) -> list[str]:
    return [name, str(value)] if value not in (None, "", []) else []


def is_step(path: Path) -> bool:
    """True for a file that `compare` or `demo` keeps of a step: a copy of other results."""
    return path.parent.name == "steps" and (path.parent.parent / _SETTINGS).is_file()


def model_folder(path: Path, content: Mapping[str, Any]) -> Path:
    """The folder of an evaluated model: the evaluation's own folder, or the folder it names."""
    if (path.parent / _RECORD).is_file():
        return path.parent
    return paths.of(content["model_dir"])


def of_evaluations(evaluations: Sequence[tuple[Path, Mapping[str, Any]]]) -> Run:
    """The run of all evaluations of one model on one split, at the last evaluated step.

    If some evaluations cover all examples, the others are ignored. In the order of evaluations,
    later metrics replace earlier ones.
    """
    path, content = evaluations[0]
    folder = model_folder(path, content)
    record = _read(folder / _RECORD)
    rows = [row for _, report in evaluations for row in report["results"] if _values(row)]
    if not rows:
        raise ValueError("its results have neither metrics nor losses")
    rows = _of_present_run(rows, folder)
    if not rows:
        raise ValueError("its checkpoints were replaced since; evaluate again")
    complete = [row for row in rows if row.get("limit") is None]
    step = max(int(row["step"]) for row in complete or rows)
    chosen = [row for row in complete or rows if row["step"] == step]
    tasks: dict[str, dict[str, float]] = {}
    for row in chosen:
        tasks.setdefault(str(row["task"]), {}).update(
            {name: float(value) for name, value in _values(row).items()}
        )
    return Run(
        experiment=record.get("experiment"),
        row=_row(folder, record),
        seed=record.get("seed"),
        steps=step,
        split=str(content["split"]),
        tasks=tasks,
        falls=None,
        limit=None if complete else chosen[0]["limit"],
        commands=tuple(_commands(folder, record, step, [report for _, report in evaluations])),
        start=(record.get("init_checkpoint") or {}).get("path"),
    )


def _of_present_run(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Mapping[str, Any]]:
    """The rows without those of a run that was set back and trained again.

    A checkpoint that is gone still counts, unless it was later than the latest.
    """
    prints = ModelFolder.at(folder).fingerprints
    latest = max(prints, default=math.inf)

    def counts(row: Mapping[str, Any]) -> bool:
        if row["step"] in prints:
            return row.get("checkpoint") in (None, prints[row["step"]])
        return row["step"] < latest

    return [row for row in rows if counts(row)]


def _values(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics; for an evaluation without decoding, its other values."""
    return row["metrics"] or {k: row[k] for k in ("loss", "token_accuracy") if k in row}


def _row(folder: Path, record: Mapping[str, Any]) -> str:
    """The row of a model; a model that started from another model has that model's layers."""
    synthesizer = _synthesizer(record)
    size = record.get("size")
    if synthesizer is None:
        return str(folder)
    if record.get("experiment") is None or size is None:
        return synthesizer
    return (
        paper.BASE_PLUS if (synthesizer, size) == ("t5", "base_plus") else f"{synthesizer} {size}"
    )


def _synthesizer(record: Mapping[str, Any]) -> str | None:
    for _ in range(10):  # a chain of runs, each started from the previous run
        start = record.get("init_checkpoint")
        if record.get("synthesizer") or not start:
            break
        record = _read(paths.of(start["path"]).parent / _RECORD)
    return record.get("synthesizer")


def _commands(
    folder: Path,
    record: Mapping[str, Any],
    step: int,
    evaluations: Iterable[Mapping[str, Any]],
) -> list[str]:
    commands = [_training_command(folder, record, step)] if record else []
    data = _flag("--tfds_data_dir", record.get("tfds_data_dir"))
    data += _lists({"modules": record.get("modules")})
    for content in evaluations:
        asked = ["--task", str(content["task"]), "--split", str(content["split"]), *data]
        commands.append(
            shlex.join(["mtf_synthesizer", "evaluate", "--model_dir", str(folder), *asked])
        )
    return list(dict.fromkeys(commands))


_OF_TRAINING = (
    *("synthesizer", "size", "run", "experiment", "task", "batch_size", "seed"),
    *("vocabulary", "tfds_data_dir"),
)


def _training_command(folder: Path, record: Mapping[str, Any], step: int) -> str:
    parts = ["mtf_synthesizer", "train"]
    for name in _OF_TRAINING:
        parts += _flag(f"--{name}", record.get(name))
    start = record.get("init_checkpoint") or {}
    parts += _flag("--init_checkpoint", start.get("path"))
    parts += ["--partial_init"] if record.get("partial_init") else []
    parts += ["--steps", str(step - int(start.get("step", 0))), *_lists(record)]
    return shlex.join([*parts, "--model_dir", str(folder)])


def _read(path: Path) -> Mapping[str, Any]:
    """The content of a file beside a result; empty if the file is missing or broken."""
    try:
        content = records.parse(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
