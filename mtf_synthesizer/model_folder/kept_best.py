"""The best checkpoint of a run that is evaluated while it trains, kept apart in the folder `best`.

`best` is a model folder of its own: checkpoint, configuration, vocabulary and definition of the
data. `best.json` in it names the checkpoint; it is written last, so it never names an unfinished
one. The training never deletes files there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mtf_synthesizer import __version__
from mtf_synthesizer.files import paths, records, saving
from mtf_synthesizer.model_folder import best, checkpoints, own_data, vocabulary
from mtf_synthesizer.model_folder.checkpoints import Checkpoint

FOLDER = "best"
RECORD = "best.json"
_COPIED = (
    checkpoints.OPERATIVE_CONFIG,
    vocabulary.RECORD,
    vocabulary.COPY,
    own_data.RECORD,
)


@dataclasses.dataclass(frozen=True)
class KeptBest:
    """The best checkpoint of a run so far.

    Attributes:
      task: task whose validation split chose the checkpoint.
      metric: name of the score.
      step: step of the checkpoint.
      value: value of the score.
      split: split of the scores.
      examples: number of examples of the scores; 0 where an earlier release wrote the record.
      scores: name -> value of every score, among them `metric`.
    """

    task: str
    metric: str
    step: int
    value: float
    split: str = best.SPLIT
    examples: int = 0
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)


def read(folder: paths.Path) -> KeptBest | None:
    """Return the record in a model folder; None if no best checkpoint is kept.

    Raises:
      errors.UserError: the record can't be read.
    """
    return _read(folder / FOLDER / RECORD)


def of_checkpoint(folder: paths.Path, checkpoint: Checkpoint) -> KeptBest | None:
    """Return the record of a checkpoint, in its model folder or in the folder `best` itself.

    Raises:
      errors.UserError: the record can't be read.
    """
    for kept in (folder / FOLDER, folder):
        record = _read(kept / RECORD)
        candidate = None if record is None else _checkpoint(kept, record.step)
        if candidate is not None and candidate.fingerprint == checkpoint.fingerprint:
            return record
    return None


def _checkpoint(folder: paths.Path, step: int) -> Checkpoint | None:
    existing = checkpoints.complete(paths.matching(folder, "*"))
    return next((candidate for candidate in existing if candidate.step == step), None)


def _read(path: paths.Path) -> KeptBest | None:
    record = records.read(
        path,
        "record of a best checkpoint",
        _parsed,
        "Remove the folder best, or name a step instead of best",
    )
    return None if record is None else _parsed(record)


def _parsed(record: Any) -> KeptBest:
    if type(record["step"]) is not int:
        raise TypeError("the step is not a whole number")
    if not isinstance(record["value"], float | int):
        raise TypeError("the value is not a number")
    examples, scores = record.get("examples", 0), record.get("scores", {})
    if type(examples) is not int:
        raise TypeError("the number of examples is not a whole number")
    if not all(isinstance(value, float | int) for value in scores.values()):
        raise TypeError("a score is not a number")
    return KeptBest(
        str(record["task"]),
        str(record["metric"]),
        record["step"],
        record["value"],
        str(record.get("split", best.SPLIT)),
        examples,
        scores,
    )


def checkpoint(folder: paths.Path, task: str | None) -> Checkpoint | None:
    """Return the best checkpoint that a folder keeps apart; None without one of the task.

    Args:
      folder: the model folder.
      task: the task; None for any.
    """
    kept = read(folder)
    if kept is None or task not in (None, kept.task):
        return None
    return _checkpoint(folder / FOLDER, kept.step)


def keep(folder: paths.Path, kept: KeptBest) -> None:
    """Keep a checkpoint of a model folder as its best, in place of the one before.

    Files are linked where the file system allows it, so that they take no further space. The index
    comes after the values, because a checkpoint without index does not count.
    """
    target = folder / FOLDER
    name = f"model.ckpt-{kept.step}"
    target.mkdir(parents=True, exist_ok=True)
    for copied in _COPIED:
        if (folder / copied).is_file():
            saving.write_bytes(target / copied, (folder / copied).read_bytes())
    files = paths.matching(folder, f"{name}.*")
    for file in sorted(files, key=lambda file: file.suffix == ".index"):
        saving.link(file, target / file.name)
    record = {"package_version": __version__, **dataclasses.asdict(kept)}
    saving.write_json(target / RECORD, record)
    for file in paths.matching(target, "model.ckpt-*"):
        if not file.name.startswith(f"{name}."):
            file.unlink(missing_ok=True)
