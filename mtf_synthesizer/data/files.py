"""Opens official text files, plain or compressed, and finds them in a folder."""

import gzip
import json
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from mtf_synthesizer.data.spec import DataError

_COMPRESSED = ".gz"


def find(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """The files that `name` stands for below `folder`, sorted; empty if there are none.

    Args:
      folder: where to look.
      name: a relative path; `*` matches within one part. The case of letters does not matter, and
        a file with `.gz` added counts if the plain one is not there.
    """
    found = [folder]
    for part in name.split("/"):
        found = [
            child
            for parent in found
            if parent.is_dir()
            for child in sorted(parent.iterdir())
            if _matches(child.name, part)
        ]
    plain = {path for path in found if path.suffix.lower() != _COMPRESSED}
    return [path for path in found if path in plain or path.with_suffix("") not in plain]


def _matches(name: str, pattern: str) -> bool:
    pure = pathlib.PurePath(name.lower())
    pattern = pattern.lower()
    return pure.match(pattern) or pure.match(pattern + _COMPRESSED)


def lines(path: pathlib.Path) -> Iterator[str]:
    r"""The lines of a UTF-8 text file without their ends (\n or \r\n), decompressed if `.gz`.

    Raises:
      DataError: the file is not UTF-8, or its compressed data is broken or cut off.
    """
    number = 0
    try:
        with _open(path) as file:
            for line in file:  # only \n ends one: text may hold \x85, \u2028 or a lone \r
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {number}: not UTF-8 ({error.reason}). Convert the file, for "
            "example with iconv, or download it again"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: after line {number}: compressed data is broken or cut off ({error}). "
            "Download the file again"
        ) from error


def _open(path: pathlib.Path) -> BinaryIO:
    if path.suffix.lower() == _COMPRESSED:
        return cast(BinaryIO, gzip.open(path, "rb"))
    return open(path, "rb")


def json_lines(path: pathlib.Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of every line that is not blank.

    Raises:
      DataError: a line is not a JSON object, which also tells a file that was cut off.
    """
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path}: line {number}: not JSON ({error.msg}): {line[:60]!r}. A last line like "
                "that means a download that was cut off: get the file again"
            ) from error
        if not isinstance(value, dict):
            raise DataError(f"{path}: line {number}: a JSON object was expected, not {line[:60]!r}")
        yield number, value
