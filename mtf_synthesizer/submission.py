"""Submission files in GLUE's layout: one TSV for each task, `index<TAB>prediction`, in one zip.

Predictions are joined by the index of their example, never by the order of lines. The same
predictions give the same bytes.
"""

import dataclasses
import json
import os
import pathlib
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

_HEADER = "index\tprediction\n"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold


@dataclasses.dataclass(frozen=True)
class TaskFile:
    """What a task's file is called and may hold.

    Attributes:
      name: of the file in the zip.
      labels: the allowed predictions; None for free text.
    """

    name: str
    labels: tuple[str, ...] | None


EMBEDDED: Mapping[str, TaskFile] = {
    "synthesizer_testament_v001": TaskFile("testament.tsv", ("old", "new")),
    "synthesizer_same_verse_v001": TaskFile("same_verse.tsv", ("same", "other")),
    "synthesizer_modern_english_v001": TaskFile("modern_english.tsv", None),
}


def read_predictions(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The JSON lines that `predict` writes."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def by_index(records: Iterable[Mapping[str, Any]], task: str, examples: int) -> list[str]:
    """The predictions of one task in the order of its examples.

    Args:
      records: with task, index and prediction, in any order; those of other tasks are ignored.
      task: name of the task.
      examples: how many the split has.

    Raises:
      ValueError: an example has no prediction or more than one, or an index is out of range.
    """
    found: dict[int, str] = {}
    for record in records:
        if record["task"] != task:
            continue
        index = record["index"]
        if index in found:
            raise ValueError(f"{task}: two predictions for example {index}; each needs one")
        if not 0 <= index < examples:
            raise ValueError(
                f"{task}: a prediction for example {index}, but the split has {examples} "
                f"(0 to {examples - 1}); predict the same split again"
            )
        found[index] = record["prediction"]
    missing = [index for index in range(examples) if index not in found]
    if missing:
        raise ValueError(
            f"{task}: no prediction for {len(missing)} of {examples} examples, the first is "
            f"{missing[0]}; predict the whole split"
        )
    return [found[index] for index in range(examples)]


def unknown_labels(predictions: Iterable[str], file: TaskFile) -> list[int]:
    """The indices of predictions that are no label of the task; none for free text."""
    if file.labels is None:
        return []
    return [i for i, prediction in enumerate(predictions) if prediction not in file.labels]


def tsv(predictions: list[str], task: str, file: TaskFile) -> str:
    """The text of a task's file.

    Raises:
      ValueError: a prediction is not one of the task's labels.
    """
    if wrong := unknown_labels(predictions, file):
        raise ValueError(
            f"{task}: {len(wrong)} predictions are no label, the first is "
            f"{predictions[wrong[0]]!r} for example {wrong[0]}; allowed: "
            f"{', '.join(file.labels or ())}. Train longer, or name a label to put in their place"
        )
    # Tabs and line ends of free text would break the table.
    lines = (f"{i}\t{' '.join(text.split())}\n" for i, text in enumerate(predictions))
    return _HEADER + "".join(lines)


def write(
    output: str | os.PathLike[str],
    records: Iterable[Mapping[str, Any]],
    examples: Mapping[str, int],
    files: Mapping[str, TaskFile] = EMBEDDED,
    replacements: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Writes the zip.

    Args:
      output: path of the zip.
      records: predictions of all the tasks, see `by_index`.
      examples: task -> number of examples in its split.
      files: task -> its file.
      replacements: task -> label that takes the place of predictions that are no label; without
        one they are an error.

    Returns:
      task -> number of predictions that were replaced.

    Raises:
      ValueError: missing, doubled or unknown predictions.
    """
    records = list(records)
    replaced = {}
    texts = {}
    for task, file in files.items():
        predictions = by_index(records, task, examples[task])
        wrong = unknown_labels(predictions, file)
        replaced[task] = 0
        if replacements and task in replacements:
            replaced[task] = len(wrong)
            for index in wrong:
                predictions[index] = replacements[task]
        texts[file.name] = tsv(predictions, task, file)
    _write_zip(pathlib.Path(output), texts)
    return replaced


def _write_zip(path: pathlib.Path, texts: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(texts):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, texts[name])
    temporary.replace(path)
