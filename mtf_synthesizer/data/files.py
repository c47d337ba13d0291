"""Official text files: plain or compressed, found by name in a folder."""

import contextlib
import gzip
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.files.paths import Path

_COMPRESSED = ".gz"


def find(folder: Path, name: str) -> list[Path]:
    """Return the files below `folder` with a name, sorted; empty if none exist.

    Args:
      folder: folder to search.
      name: a relative path; `*` matches within one part. Case does not matter, and a file with
        `.gz` added counts if the plain file is missing.

    Raises:
      DataError: several files have a name that is not a pattern.
    """
    matches = [folder]
    for part in name.split("/"):
        matches = [
            child
            for parent in matches
            if parent.is_dir()
            for child in paths.matching(parent, "*")
            if _matches(child.name, part)
        ]
    plain = {path for path in matches if path.suffix.lower() != _COMPRESSED}
    matches = [path for path in matches if path in plain or path.with_suffix("") not in plain]
    if len(matches) > 1 and "*" not in name:
        raise DataError(
            f"{' and '.join(map(str, matches))} are both {name}: leave only one of them in {folder}"
        )
    return matches


def _matches(name: str, pattern: str) -> bool:
    pure = pathlib.PurePath(name.lower())
    pattern = pattern.lower()
    return pure.match(pattern) or pure.match(pattern + _COMPRESSED)


def lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a UTF-8 text without their ends (\n or \r\n), decompressed if `.gz`.

    Raises:
      DataError: the file can't be read, is not UTF-8 or begins like UTF-16, or its compressed data
        is damaged or truncated.
    """
    number = 0
    try:
        with _open(path) as file:
            for line in file:  # only \n ends a line: text may contain \x85, \u2028 or a lone \r
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if number == 1 and "\0" in text:
                    raise DataError(
                        f"{path}: line 1: contains NUL, so it is UTF-16 or not a text. Convert the "
                        "file to UTF-8, for example with iconv"
                    )
                yield text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {number}: not UTF-8 ({error.reason}). Convert the file, for "
            "example with iconv, or download it again"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: after line {number}: compressed data is damaged or truncated ({error}). "
            "Download the file again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Iterable[bytes]]:
    with path.open("rb") as file:
        if path.suffix.lower() != _COMPRESSED:
            yield file
            return
        with gzip.open(file) as unpacked:
            yield unpacked


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of every line that is not blank.

    Raises:
      DataError: a line is not a JSON object, for example in a truncated file.
    """
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        value = parsed(line, f"{path}: line {number}")
        if not isinstance(value, dict):
            raise DataError(f"{path}: line {number}: expected a JSON object, not {line[:60]!r}")
        yield number, value


def parsed(text: str, place: str) -> Any:
    """Return the value of a JSON text.

    Args:
      text: a line or a whole file.
      place: file and line, for the message.

    Raises:
      DataError: the text is not JSON.
    """
    try:
        return records.parse(text)
    except ValueError as error:
        raise DataError(
            f"{place}: not JSON ({error}): {text[:60]!r}. If the file ends there, the download "
            "was truncated: download the file again"
        ) from error
