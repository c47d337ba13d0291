"""What must hold of a pipeline's folder after each kill, and what of it when it is done."""

from __future__ import annotations

import json
import pathlib
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mtf_synthesizer.config import statements
from mtf_synthesizer.model_folder.folder import ModelFolder

PRETRAIN, FINETUNE = "pretrain", "finetune"
SPANS, VERSES = "synthesizer_verse_spans_v001", "synthesizer_verses_v001"
EXAMPLES = 16  # of each task that are evaluated
# A file that is still being written has one of these; nobody takes it for a result.
_UNFINISHED = re.compile(r"\.tmp$|_temp/|tempstate")
_WRITTEN_ONCE = ("run.json", "vocabulary.json", "vocabulary.model")


class Violation(Exception):
    """Something was lost, damaged or done twice."""


class Folder:
    """What a pipeline has made so far, compared with what it had made before.

    Args:
      path: of the pipeline.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self._checkpoints: set[str] = set()
        self._losses: dict[str, dict[int, float]] = {}
        self._kept: dict[str, bytes] = {}

    def step(self, name: str) -> int:
        """The last checkpoint of a model."""
        return max([each.step for each in ModelFolder.at(self.path / name).checkpoints], default=0)

    def check(self) -> str:
        """Says what is there.

        Raises:
          Violation: something is missing, can't be read or has changed.
        """
        every = [file for file in sorted(self.path.rglob("*")) if file.is_file()]
        files = [file for file in every if not _UNFINISHED.search(file.as_posix())]
        for file in files:
            _read(file)
        for name in (PRETRAIN, FINETUNE):
            self._check_model(self.path / name)
        self._check_unchanged(files)
        return f"{len(self._checkpoints)} checkpoints and {len(files)} files are whole"

    def _check_model(self, model: pathlib.Path) -> None:
        found = {each.path for each in ModelFolder.at(model).checkpoints}
        known = {path for path in self._checkpoints if pathlib.Path(path).parent == model}
        if known - found:
            raise Violation(f"checkpoints are gone: {sorted(known - found)}")
        for path in found - known:
            _read_values(path)
        self._checkpoints |= found
        _check_state(model, [pathlib.Path(path).name for path in found])
        self._check_losses(model)

    def _check_losses(self, model: pathlib.Path) -> None:
        """A step that a checkpoint holds stays; one that is made again has the loss it had."""
        now, before = losses(model), self._losses.get(model.name, {})
        saved = self.step(model.name)
        for step, loss in before.items():
            if now.get(step, loss) != loss:
                raise Violation(f"step {step} of {model} had the loss {loss}, now {now[step]}")
            if step <= saved and step not in now:
                raise Violation(f"step {step} of {model} is saved, but its loss is gone")
        self._losses[model.name] = before | now

    def _check_unchanged(self, files: Sequence[pathlib.Path]) -> None:
        """Records of runs, vocabularies and predictions are written once."""
        for file in files:
            if file.name in _WRITTEN_ONCE or file.parent.name == "predictions":
                content = file.read_bytes()
                if self._kept.setdefault(str(file), content) != content:
                    raise Violation(f"{file} has changed")
        lost = [path for path in self._kept if not pathlib.Path(path).exists()]
        if lost:
            raise Violation(f"files are gone: {lost}")


def losses(model: pathlib.Path) -> dict[int, float]:
    """Step -> loss.

    Raises:
      Violation: a step is there twice or left out.
    """
    path = model / "loss.jsonl"
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    steps = [int(row["step"]) for row in rows]
    if steps and steps != list(range(steps[0], steps[0] + len(steps))):
        raise Violation(f"{path}: steps are {steps}")
    return {int(row["step"]): float(row["loss"]) for row in rows}


def _read_values(checkpoint: str) -> None:
    """Reads every value, of which TensorFlow compares the check sums."""
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except tf.errors.OpError as error:
        raise Violation(f"{checkpoint} can't be read: {error}") from error


def _check_state(model: pathlib.Path, complete: Sequence[str]) -> None:
    """TensorFlow's own file has to name a checkpoint that is there."""
    state = tf.train.get_checkpoint_state(str(model))
    if state and pathlib.Path(state.model_checkpoint_path).name not in complete:
        raise Violation(f"{model}/checkpoint names {state.model_checkpoint_path}, not complete")


def _read(file: pathlib.Path) -> None:
    """Reads a file of a kind that has an end."""
    try:
        _READERS.get(file.suffix, lambda path: None)(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise Violation(f"{file} can't be read: {error}") from error


def _read_json(file: pathlib.Path) -> None:
    json.loads(file.read_text("utf-8"))


def _read_lines(file: pathlib.Path) -> None:
    for line in file.read_text("utf-8").splitlines():
        json.loads(line)


def _read_zip(file: pathlib.Path) -> None:
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():  # reading compares the check sum
            rows = archive.read(name).decode("utf-8").splitlines()
            if len({row.count("\t") for row in rows}) != 1:
                raise Violation(f"{file}: {name} has rows of several widths")


def _read_gin(file: pathlib.Path) -> None:
    text = file.read_text("utf-8")
    statements.statements([str(file)], [])
    if "run.train_steps" not in text or not text.endswith("\n"):
        raise ValueError("no end")


_READERS: dict[str, Callable[[pathlib.Path], None]] = {
    ".json": _read_json,
    ".jsonl": _read_lines,
    ".zip": _read_zip,
    ".gin": _read_gin,
}


def _trained(folder: pathlib.Path, name: str, first: int, last: int) -> None:
    steps = list(losses(folder / name))
    if steps != list(range(first, last + 1)):
        raise Violation(f"{name} has losses of {steps[:1]} to {steps[-1:]}, not {first} to {last}")
    if max(each.step for each in ModelFolder.at(folder / name).checkpoints) != last:
        raise Violation(f"{name} has no checkpoint of step {last}")


def _evaluated(folder: pathlib.Path) -> None:
    report = json.loads((folder / FINETUNE / f"eval_{VERSES}_validation.json").read_text("utf-8"))
    if [row["examples"] for row in report["results"]] != [EXAMPLES] * 3:
        raise Violation(f"the evaluation has {len(report['results'])} rows")


def _predicted(folder: pathlib.Path) -> dict[str, int]:
    files = sorted((folder / "predictions").glob("*.jsonl"))
    if len(files) != 3:
        raise Violation(f"predictions of {[file.name for file in files]}")
    return {file.stem: len(file.read_text("utf-8").splitlines()) for file in files}


def _submitted(folder: pathlib.Path) -> None:
    counts = _predicted(folder)
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        rows = {n: len(archive.read(n).decode("utf-8").splitlines()) for n in archive.namelist()}
    if sorted(rows.values()) != sorted(count + 1 for count in counts.values()):
        raise Violation(f"{rows} rows for {counts} predictions")


# What a command leaves in the end, given the folder and the steps of each training.
COMPLETE: dict[str, Callable[[pathlib.Path, int], Any]] = {
    PRETRAIN: lambda folder, steps: _trained(folder, PRETRAIN, 1, steps),
    FINETUNE: lambda folder, steps: _trained(folder, FINETUNE, steps + 1, 2 * steps),
    "evaluate": lambda folder, steps: _evaluated(folder),
    "predict": lambda folder, steps: _predicted(folder),
    "submit": lambda folder, steps: _submitted(folder),
}
