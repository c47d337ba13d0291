"""Lines of official files as records; an error about a field names file and line."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer.data import decimals, files
from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.files.paths import Path

_MOST = 2**31 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """Fields of one line, or of an object inside it.

    Attributes:
      path: the file.
      line: number of the line; None if the file is a single value.
      fields: name -> value.
      spare: number of columns beyond the header's.
    """

    path: Path
    line: int | None
    fields: Mapping[str, Any]
    spare: int = 0

    def fault(self, message: str) -> DataError:
        """Return an error that names file and line."""
        line = "" if self.line is None else f"line {self.line}: "
        return DataError(f"{self.path}: {line}{message}")

    def value(self, name: str) -> Any:
        """Return the value of a field; raise a DataError if it is missing."""
        if name not in self.fields:
            raise self.fault(f"no field {name!r}. Fields: {', '.join(self.fields) or 'none'}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """Return the string in a field."""
        return str(self._of_type(name, str, "a string"))

    def integer(self, name: str) -> int:
        """Return a whole number that tensorflow_datasets can store, in 32 bits."""
        value = int(self._of_type(name, int, "a whole number"))
        if not -_MOST - 1 <= value <= _MOST:
            raise self.fault(f"{name} must be at most {_MOST}, not {_shown(value)}")
        return value

    def part(self, name: str) -> "Record":
        """Return an object inside this record."""
        return Record(self.path, self.line, self._of_type(name, dict, "an object"))

    def parts(self, name: str) -> list["Record"]:
        """Return the objects of a list inside this record."""
        objects = self._of_type(name, list, "a list of objects")
        if not all(isinstance(part, dict) for part in objects):
            raise self.fault(f"{name} must be a list of objects, not {_shown(objects)}")
        return [Record(self.path, self.line, part) for part in objects]

    def number(self, name: str, minimum: float, maximum: float) -> float:
        """Return the number in the text of a column, which must be in [minimum, maximum]."""
        text = self.text(name)
        value = decimals.parse(text, float("nan"))
        if not minimum <= value <= maximum:
            raise self.fault(f"{name} must be a number from {minimum} to {maximum}, not {text!r}")
        return value

    def label(self, name: str, labels: Mapping[Any, str]) -> str:
        """Return the class of a label; `labels` maps value in the file -> class."""
        value = self.value(name)
        if not isinstance(value, str | int) or value not in labels:
            allowed = ", ".join(dict.fromkeys(str(label) for label in labels))
            raise self.fault(f"unknown {name} {_shown(value)}. Allowed: {allowed}")
        return labels[value]

    def _of_type(self, name: str, kind: type, description: str) -> Any:
        value = self.value(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.fault(f"{name} must be {description}, not {_shown(value)}")
        return value


def _shown(value: Any) -> str:
    return repr(value)[:60]


def json_records(path: Path) -> Iterator[Record]:
    """Yield every line of a JSON lines file that is not blank."""
    for number, fields in files.json_lines(path):
        yield Record(path, number, fields)


def table_records(
    path: Path, needed: Sequence[str], header: Sequence[str] | None = None
) -> Iterator[Record]:
    """Yield the lines of a tab-separated file; quotes are ordinary characters.

    Lines may have fewer columns than the header: a missing field fails only when it is read.

    Args:
      path: the file.
      needed: columns that must exist.
      header: names of the columns of a file without a header line.

    Raises:
      DataError: a needed column is missing.
    """
    numbered = enumerate(files.lines(path), start=1)
    if header is None:
        header = next(numbered, (1, ""))[1].split("\t")
        missing = [name for name in needed if name not in header]
        if missing:
            raise DataError(
                f"{path}: no column {', '.join(missing)}. The first line must be the header, with "
                f"tabs between the columns: {' '.join(needed)}; it is: {_shown(' '.join(header))}"
            )
    for number, line in numbered:
        if line:
            values = line.split("\t")
            fields = dict(zip(header, values, strict=False))
            yield Record(path, number, fields, max(0, len(values) - len(header)))
