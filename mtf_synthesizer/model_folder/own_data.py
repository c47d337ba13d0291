"""Definition of a task on a user's own files, and its record in a model folder, `data.json`.

The record lets `evaluate`, `predict` and every other reader of the model repeat no flag. This
module loads no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.files import paths, records, saving

RECORD = "data.json"
TASK = "own_data"
TRAIN = "train"
PAIRS, SPANS, LANGUAGE_MODEL = "pairs", "spans", "lm"
# Objective -> the features that a row of a file has.
OBJECTIVES: Mapping[str, tuple[str, ...]] = {
    PAIRS: ("inputs", "targets"),
    SPANS: ("targets",),
    LANGUAGE_MODEL: ("targets",),
}
METRICS = ("accuracy", "bleu", "macro_f1", "matthews", "pearson", "rouge", "spearman", "squad")
TEXT_SUFFIX = ".txt"
_DEFAULT_METRICS = {PAIRS: ("accuracy",)}
_SPLIT = re.compile(r"[A-Za-z0-9_]+")


@dataclasses.dataclass(frozen=True)
class OwnData:
    """A user's own files as a task; None stands for the value of the record, or the default.

    Attributes:
      files: split -> path of its file.
      columns: feature (inputs, targets) -> name of the column or field, or number from 1 in a table
        without header.
      prefix: text before every input.
      metrics: names in `METRICS`.
      objective: a name in `OBJECTIVES`.
      lengths: feature -> tokens in a row of a batch, as measured for training.
      train_sha256: SHA-256 of the training file.
    """

    files: Mapping[str, str]
    columns: Mapping[str, str] | None = None
    prefix: str | None = None
    metrics: tuple[str, ...] | None = None
    objective: str | None = None
    lengths: Mapping[str, int] | None = None
    train_sha256: str | None = None

    def over(self, recorded: OwnData | None) -> OwnData:
        """Return a record with these changes."""
        if recorded is None:
            return self
        fields = dataclasses.fields(self)
        changes = {f.name: v for f in fields if (v := getattr(self, f.name)) is not None}
        changes["files"] = {**recorded.files, **self.files}
        return dataclasses.replace(recorded, **changes)

    @property
    def features(self) -> tuple[str, ...]:
        """Features of a row."""
        return OBJECTIVES[self.chosen_objective]

    @property
    def chosen_objective(self) -> str:
        """The objective; by default that of the files: pairs, or span corruption of plain text."""
        if self.objective is not None:
            return self.objective
        are_texts = [is_text(path) for path in self.files.values()]
        return SPANS if are_texts and all(are_texts) else PAIRS

    @property
    def chosen_metrics(self) -> tuple[str, ...]:
        """The metrics of decoded text; accuracy of pairs by default."""
        default = _DEFAULT_METRICS.get(self.chosen_objective, ())
        return default if self.metrics is None else self.metrics

    def check(self) -> None:
        """Raise a UserError for a name of a split, column, metric or objective that is unknown."""
        for split in self.files:
            if not _SPLIT.fullmatch(split):
                raise errors.UserError(
                    f"--data {split}={self.files[split]}: a split's name has letters, digits and "
                    "_, such as train, validation or test"
                )
        if self.objective is not None:
            errors.check("--objective", self.objective, OBJECTIVES)
        for metric in self.metrics or ():
            errors.check("--metrics", metric, METRICS)
        for feature in self.columns or ():
            errors.check("feature of --columns", feature, self.features)
        if self.metrics and self.chosen_objective != PAIRS:
            raise errors.UserError(
                f"--metrics {','.join(self.metrics)}: only pairs have metrics of decoded text; "
                f"--objective {self.chosen_objective} has its loss and perplexity. Leave --metrics "
                "out"
            )


def is_text(path: str) -> bool:
    """Return whether a file is plain text, packed or not."""
    return path.lower().removesuffix(".gz").endswith(TEXT_SUFFIX)


def read(folder: paths.Path) -> OwnData | None:
    """Return the definition in a model folder; None for a model of another task.

    Raises:
      errors.UserError: the record can't be read.
    """
    record = records.read(
        folder / RECORD,
        "record of a model's data",
        _parsed,
        "Remove the file and give --data again",
    )
    return None if record is None else _parsed(record)


def _parsed(record: Any) -> OwnData:
    """Return the definition in a record; raise a ValueError or KeyError for another content."""
    data = OwnData(
        files=_texts(record["files"]),
        columns=_texts(record["columns"]),
        prefix=str(record["prefix"]),
        metrics=tuple(map(str, record["metrics"])),
        objective=str(record["objective"]),
        lengths=_lengths(record["lengths"]),
        train_sha256=None if record["train_sha256"] is None else str(record["train_sha256"]),
    )
    data.check()
    return data


def _texts(value: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()}


def _lengths(value: Mapping[Any, Any]) -> dict[str, int]:
    if not all(type(length) is int and length > 0 for length in value.values()):
        raise ValueError("a length is not a whole number above 0")
    return {str(name): length for name, length in value.items()}


def write(folder: paths.Path, data: OwnData) -> None:
    """Write the definition with whole paths, so that commands find the files from anywhere."""
    files = {split: str(paths.of(path).absolute()) for split, path in data.files.items()}
    saving.write_json(
        folder / RECORD,
        {
            "package_version": __version__,
            "files": files,
            "columns": dict(data.columns or {}),
            "prefix": data.prefix or "",
            "metrics": list(data.chosen_metrics),
            "objective": data.chosen_objective,
            "lengths": dict(data.lengths or {}),
            "train_sha256": data.train_sha256,
        },
    )


def from_flags(
    files: Sequence[str],
    columns: Sequence[str] = (),
    prefix: str | None = None,
    metrics: Sequence[str] = (),
    objective: str | None = None,
) -> OwnData | None:
    """Return the definition that flags give; None without --data and other flags of own data.

    Args:
      files: SPLIT=FILE for each --data.
      columns: FEATURE=COLUMN for each part of --columns.
      prefix, metrics, objective: as typed.

    Raises:
      errors.UserError: a flag has another form or an unknown name.
    """
    if not (files or columns or metrics or objective) and prefix is None:
        return None
    data = OwnData(
        files=_pairs("--data", "SPLIT=FILE, such as train=pairs.tsv", files),
        columns=_pairs("--columns", "FEATURE=COLUMN, such as inputs=question", columns) or None,
        prefix=prefix,
        metrics=tuple(metrics) or None,
        objective=objective,
    )
    return data


def _pairs(flag: str, form: str, typed: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in typed:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise errors.UserError(f"{flag} {text}: give {form}")
        if name in pairs:
            raise errors.UserError(f"{flag}: {name} is given twice, as {pairs[name]} and {value}")
        pairs[name] = value
    return pairs
