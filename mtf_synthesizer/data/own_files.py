"""A user's own files as rows of text: tables (TSV, CSV), JSON lines and plain text, or `.gz`."""

import hashlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.data import csv_files, files
from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.own_data import LANGUAGE_MODEL, PAIRS, SPANS, TRAIN, OwnData

# Number of a line and its fields, by their names or (in a table without header) from "1".
Line = tuple[int, Mapping[str, Any]]
Row = dict[str, str]

# Feature -> names of the column without --columns, the first that exists.
_DEFAULT_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    PAIRS: {"inputs": ("inputs",), "targets": ("targets",)},
    SPANS: {"targets": ("text", "targets")},
    LANGUAGE_MODEL: {"targets": ("text", "targets")},
}
_SHOWN = 5  # faults in a message
_BLOCK = 2**20  # bytes


def rows(data: OwnData, split: str) -> Iterator[Row]:
    """Yield the rows of a split as feature -> text, without the prefix.

    A split other than train may lack the column of the targets, which `predict` does not need.

    Raises:
      DataError: a file is missing, has another form, or a row can't be read.
    """
    for row, fault in _read(data, split):
        if fault:
            raise DataError(f"{data.files[split]}: {fault}")
        yield row


def check(data: OwnData, split: str, needs_targets: bool = True) -> int:
    """Read a split to its end and return the number of its rows.

    Args:
      data: the definition.
      split: the split.
      needs_targets: whether rows without targets are a fault.

    Raises:
      errors.UserError: the split has no file.
      DataError: the file is missing or has no rows; or rows can't be read, or lack targets: the
        message has the line and reason of the first few.
    """
    if split not in data.files:
        raise errors.UserError(
            f"--data has no split {split}.{errors.suggestion(split, data.files)} Add --data "
            f"{split}=FILE, or choose one of: {', '.join(data.files)}"
        )
    count, faults = 0, []
    for row, fault in _read(data, split):
        count += 1
        if not fault and needs_targets and "targets" not in row:
            raise DataError(
                f"{data.files[split]}: no column of targets. Add it to the file, or name it with "
                "--columns targets=COLUMN"
            )
        if fault:
            faults.append(fault)
    if faults:
        raise DataError(_joined(data.files[split], faults))
    if not count:
        raise DataError(f"{data.files[split]}: no rows. Give another file for --data {split}")
    return count


def check_pairs_of_t5(path: str) -> None:
    """Check a file that T5's `tsv_dataset_fn` reads: two columns in every line.

    Raises:
      DataError: the file is missing, or lines have another number of columns.
    """
    source = "tsv_dataset_fn.filename"
    if not paths.of(path).is_file():
        raise DataError(f"{source} = {path!r}: no such file. Give the path of a file that exists")
    widths = ((n, line.count("\t") + 1) for n, line in enumerate(files.lines(paths.of(path)), 1))
    faults = [f"line {n}: {_columns(width)} instead of 2" for n, width in widths if width != 2]
    if faults:
        raise DataError(_joined(f"{source} = {path!r}", faults))


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _joined(place: str, faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return f"{place}: {'; '.join(faults[:_SHOWN])}{more}"


def digest(path: str) -> str:
    """Return the SHA-256 of a file.

    Raises:
      DataError: the file can't be read.
    """
    hasher = hashlib.sha256()
    try:
        with paths.of(path).open("rb") as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error
    return hasher.hexdigest()


def _read(data: OwnData, split: str) -> Iterator[tuple[Row, str]]:
    """Yield every row with its fault, which is empty for a row that can be read."""
    path = paths.of(data.files[split])
    if not path.is_file():
        raise DataError(f"--data {split}={path}: no such file. Give the path of a file that exists")
    columns, lines = _columns_and_lines(data, path, split)
    for number, fields in lines:
        row, fault = _row(columns, fields)
        yield row, f"line {number}: {fault}" if fault else ""


def _columns_and_lines(
    data: OwnData, path: paths.Path, split: str
) -> tuple[Mapping[str, str], Iterator[Line]]:
    """Return feature -> name of its column, and the lines of a file."""
    kind = _suffix(path)
    if kind == ".txt":
        if data.chosen_objective == PAIRS:
            raise DataError(
                f"--data {split}={path}: plain text has no pairs. Give --objective spans or "
                "--objective lm, or a file of pairs"
            )
        return {"targets": "1"}, _texts(path)
    if kind in _TABLES:
        return _of_table(data, path, _TABLES[kind](path), split)
    if kind in _JSON:
        return _of_objects(data, path, split)
    known = ", ".join([*_TABLES, *_JSON, ".txt"])
    raise DataError(
        f"--data {split}={path}: its kind is not known. The name of the file must end in {known}, "
        "or one of these with .gz"
    )


def _suffix(path: paths.Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return pathlib.PurePosixPath(name).suffix


def _texts(path: paths.Path) -> Iterator[Line]:
    for number, line in enumerate(files.lines(path), start=1):
        if line.strip():
            yield number, {"1": line}


def _tab_separated(path: paths.Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of every line that is not blank; quotes are ordinary."""
    for number, line in enumerate(files.lines(path), start=1):
        if line.strip():
            yield number, line.split("\t")


_TABLES: Mapping[str, Callable[[paths.Path], Iterator[tuple[int, list[str]]]]] = {
    ".tsv": _tab_separated,
    ".csv": csv_files.rows,
}
_JSON = (".jsonl", ".json", ".ndjson")


def _of_table(
    data: OwnData, path: paths.Path, table: Iterator[tuple[int, list[str]]], split: str
) -> tuple[Mapping[str, str], Iterator[Line]]:
    first = next(table, None)
    if first is None:
        raise DataError(f"{path}: no rows. Give another file for --data {split}")
    named = data.columns or {}
    if all(column.isdecimal() for column in named.values()):
        columns = named or _columns_of(data, first[1])
        if columns is None:  # no header
            columns = _by_place(data, path, first, split)
            return columns, _without_header(first, table, exact=len(first[1]))
        if named:
            return columns, _without_header(first, table)
    else:
        columns = named
    _check_columns(path, columns, first[1])
    return _needed(data, path, columns, split), _below_header(first[1], table)


def _columns_of(data: OwnData, header: Sequence[str]) -> dict[str, str] | None:
    """Return feature -> default column, as far as a header has them; None if the inputs lack."""
    columns = {
        feature: name
        for feature, names in _DEFAULT_COLUMNS[data.chosen_objective].items()
        for name in names[::-1]
        if name in header
    }
    return columns if data.features[0] in columns else None


def _by_place(
    data: OwnData, path: paths.Path, first: tuple[int, Sequence[str]], split: str
) -> dict[str, str]:
    """Return feature -> number of its column, in a table without header and --columns."""
    number, fields = first
    features = data.features
    allowed = {len(features)} | ({1} if split != TRAIN else set())
    if len(fields) not in allowed:
        raise DataError(
            f"{path}: line {number}: {_columns(len(fields))}, not {len(features)} "
            f"({' and '.join(features)}). Name the columns, such as --columns "
            f"{_example(features)}"
        )
    return {feature: str(place) for place, feature in enumerate(features[: len(fields)], start=1)}


def _example(features: Sequence[str]) -> str:
    return ",".join(f"{feature}={place}" for place, feature in enumerate(features, start=1))


def _check_columns(path: paths.Path, columns: Mapping[str, str], known: Sequence[str]) -> None:
    for feature, column in columns.items():
        if column not in known:
            raise DataError(
                f"{path}: --columns {feature}={column}: no column {column!r} in the first line."
                f"{errors.suggestion(column, known)} Columns: {', '.join(known)[:200]}"
            )


def _needed(
    data: OwnData, path: paths.Path, columns: Mapping[str, str], split: str
) -> Mapping[str, str]:
    """Return the columns; raise a DataError if one is missing that the split must have."""
    needed = data.features if split == TRAIN else data.features[:1]
    missing = [feature for feature in needed if feature not in columns]
    if missing:
        raise DataError(
            f"{path}: no column of {' and '.join(missing)}. Name it, such as --columns "
            f"{missing[0]}=COLUMN"
        )
    return columns


def _without_header(
    first: tuple[int, list[str]], table: Iterator[tuple[int, list[str]]], exact: int | None = None
) -> Iterator[Line]:
    def line(number: int, fields: list[str]) -> Line:
        by_place: dict[str, Any] = {str(place): field for place, field in enumerate(fields, 1)}
        if exact is not None and len(fields) != exact:
            by_place = {_FAULT: f"{_columns(len(fields))} instead of {exact}"}
        return number, by_place

    yield line(*first)
    for number, fields in table:
        yield line(number, fields)


def _below_header(header: Sequence[str], table: Iterator[tuple[int, list[str]]]) -> Iterator[Line]:
    for number, fields in table:
        if len(fields) > len(header):
            yield number, {_FAULT: f"{len(fields)} columns, but the first line names {len(header)}"}
        else:
            yield number, dict(zip(header, fields, strict=False))


_FAULT = "\udc0d"  # key of a line that can't be read; no text has it


def _of_objects(
    data: OwnData, path: paths.Path, split: str
) -> tuple[Mapping[str, str], Iterator[Line]]:
    lines = files.json_lines(path)
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}: no rows. Give another file for --data {split}")
    columns = data.columns or _columns_of(data, [*first[1]]) or {}
    if not columns:
        names = " and ".join(data.features)
        raise DataError(
            f"{path}: line {first[0]}: no field {data.features[0]!r}. Name the fields of {names}, "
            f"such as --columns {data.features[0]}=FIELD. Fields: {', '.join(first[1])[:200]}"
        )

    def rest() -> Iterator[Line]:
        yield first
        yield from lines

    return _needed(data, path, columns, split), rest()


def _row(columns: Mapping[str, str], fields: Mapping[str, Any]) -> tuple[Row, str]:
    """Return feature -> text, and the fault of the line."""
    if _FAULT in fields:
        return {}, str(fields[_FAULT])
    row: Row = {}
    for feature, column in columns.items():
        if column not in fields:
            shown = f"column {column}" if column.isdecimal() else f"{column!r}"
            return {}, f"no {shown} for the {feature}"
        value = fields[column]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return {}, f"{column} must be a text or a number, not {str(value)[:40]!r}"
        text = str(value)
        if not text.strip():
            return {}, f"the {feature} are empty"
        row[feature] = text
    return row, ""
