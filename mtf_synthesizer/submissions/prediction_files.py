"""Prediction files of `predict`: one JSON object for each decoded example."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

_REQUIRED: dict[str, type] = {"task": str, "split": str, "output": str}
_OPTIONAL: dict[str, type] = {"step": int, "checkpoint": str}


class Prediction(NamedTuple):
    """A line of a prediction file.

    Attributes:
      file: the file.
      line: number of the line, from 1.
      fields: as `inference.predict.predict` documents them.
    """

    file: paths.Path
    line: int
    fields: Mapping[str, Any]

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file}: line {self.line}"


def read(given_paths: Iterable[str | os.PathLike[str]]) -> list[Prediction]:
    """Return the predictions in files and in the .jsonl files of folders, each file once.

    Raises:
      errors.UserError: a file can't be read, or a line is not a prediction.
    """
    files = {file.resolve(): file for path in given_paths for file in _files(paths.of(path))}
    return [prediction for file in files.values() for prediction in _predictions(file)]


def _files(path: paths.Path) -> list[paths.Path]:
    if not path.is_dir():
        return [path]
    files = paths.matching(path, "*.jsonl")
    if not files:
        raise errors.UserError(f"no .jsonl file in {path}: give the --output of `predict`")
    return files


def _predictions(file: paths.Path) -> Iterator[Prediction]:
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield Prediction(file, number, _fields(f"{file}: line {number}", line))
    except OSError as error:
        raise errors.UserError(f"{file} can't be read: {error.strerror}") from error


def _fields(place: str, line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # broken UTF-8, JSON or numbers; too deep
        raise errors.UserError(
            f"{place}: not JSON ({error}). If this is the last line, the file was truncated: "
            "predict again"
        ) from error
    if not isinstance(fields, dict):
        raise errors.UserError(f"{place}: expected a JSON object, as `predict` writes it")
    for field, kind in _REQUIRED.items():
        if type(fields.get(field)) is not kind:
            raise errors.UserError(_wrong(place, field, kind, fields.get(field)))
    for field, kind in _OPTIONAL.items():
        if field in fields and type(fields[field]) is not kind:
            raise errors.UserError(_wrong(place, field, kind, fields[field]))
    if not _is_unicode(fields["output"]):
        raise errors.UserError(f"{place}: output holds half a character: {fields['output']!r:.80}")
    return fields


def _wrong(place: str, field: str, kind: type, value: object) -> str:
    expected = {str: "a text", int: "a whole number"}[kind]
    return f"{place}: {field} must be {expected}, not {value!r:.80}. Give files of `predict`"


def _is_unicode(text: str) -> bool:
    """Return whether a text can be encoded; JSON can hold one half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
