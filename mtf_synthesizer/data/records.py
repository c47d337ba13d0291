"""Lines of official files as records that say where they stand when a field is wrong."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer.data import decimals, files
from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.files.paths import Path

_MOST = 2**31 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """The fields of one line, or of an object inside it.

    Attributes:
      path, line: where it stands; no line where the file is one value.
      fields: name -> value.
      spare: how many columns of a table's line are beyond the header's.
    """

    path: Path
    line: int | None
    fields: Mapping[str, Any]
    spare: int = 0

    def fault(self, message: str) -> DataError:
        """An error that names file and line."""
        line = "" if self.line is None else f"line {self.line}: "
        return DataError(f"{self.path}: {line}{message}")

    def value(self, name: str) -> Any:
        """The value of a field; a DataError if it is not there."""
        if name not in self.fields:
            raise self.fault(f"no field {name!r}. There are: {', '.join(self.fields) or 'none'}")
        return self.fields[name]

    def text(self, name: str) -> str:
        return str(self._of_type(name, str, "a string"))

    def integer(self, name: str) -> int:
        """A whole number that tensorflow_datasets can store."""
        value = int(self._of_type(name, int, "a whole number"))
        if not -_MOST - 1 <= value <= _MOST:
            raise self.fault(f"{name} must be at most {_MOST}, not {_shown(value)}")
        return value

    def part(self, name: str) -> "Record":
        """An object inside this one."""
        return Record(self.path, self.line, self._of_type(name, dict, "an object"))

    def parts(self, name: str) -> list["Record"]:
        """The objects of a list inside this one."""
        found = self._of_type(name, list, "a list of objects")
        if not all(isinstance(each, dict) for each in found):
            raise self.fault(f"{name} must be a list of objects, not {_shown(found)}")
        return [Record(self.path, self.line, each) for each in found]

    def number(self, name: str, least: float, most: float) -> float:
        """A number in the text of a column."""
        text = self.text(name)
        value = decimals.parse(text, float("nan"))
        if not least <= value <= most:
            raise self.fault(f"{name} must be a number from {least} to {most}, not {text!r}")
        return value

    def label(self, name: str, labels: Mapping[Any, str]) -> str:
        """What a label means: `labels` has value in the file -> class."""
        value = self.value(name)
        if not isinstance(value, str | int) or value not in labels:
            allowed = ", ".join(dict.fromkeys(str(each) for each in labels))
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
    """Every line of a JSON lines file that is not blank."""
    for number, fields in files.json_lines(path):
        yield Record(path, number, fields)


def table_records(
    path: Path, needed: Sequence[str], header: Sequence[str] | None = None
) -> Iterator[Record]:
    """The lines of a tab-separated file; quotes are characters like others.

    Lines may have fewer columns than the header; what is missing is missed when it is asked for.

    Args:
      path: the file.
      needed: columns that must be there.
      header: names of the columns of a file without a header line.

    Raises:
      DataError: a needed column is not there.
    """
    numbered = enumerate(files.lines(path), start=1)
    if header is None:
        header = next(numbered, (1, ""))[1].split("\t")
        missing = [name for name in needed if name not in header]
        if missing:
            raise DataError(
                f"{path}: no column {', '.join(missing)}. The first line must be the header, with "
                f"tabs between the columns: {' '.join(needed)}. It is: {_shown(' '.join(header))}"
            )
    for number, line in numbered:
        if line:
            values = line.split("\t")
            fields = dict(zip(header, values, strict=False))
            yield Record(path, number, fields, max(0, len(values) - len(header)))
