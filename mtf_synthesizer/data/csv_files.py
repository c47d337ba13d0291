"""CSV files as AG News and CNN/DailyMail have them: quoted fields that may contain line ends."""

import csv
import itertools
import re
from collections.abc import Iterator

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.files.paths import Path

_LONGEST_FIELD = 2**31 - 1  # characters; Python's default, 128 KiB, is too short for an article
_QUOTED = re.compile(r'"[^"]*"?')
# Replaces a carriage return inside a line, which Python's reader refuses outside quotes. UTF-8
# can't encode half a surrogate pair, so no text contains this character.
_RETURN = "\udc0d"


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the last line and the fields of every row that is not blank.

    A lone carriage return belongs to its field, unless it ends the first line: then it ends all.

    Raises:
      DataError: a quote is not closed or not doubled, for example in a truncated file.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(_lines(path), strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}: line {reader.line_num}: not CSV ({error}). If this is the last line, "
                "the download was truncated: download the file again"
            ) from error
        if fields:
            yield reader.line_num, [field.replace(_RETURN, "\r") for field in fields]


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines in the form that Python's reader accepts."""
    lines = files.lines(path)
    for first in lines:
        if "\r" in _QUOTED.sub("", first):  # line ends of old Macs
            for line in itertools.chain([first], lines):
                yield from (f"{part}\n" for part in line.split("\r"))
        else:
            for line in itertools.chain([first], lines):
                yield line.replace("\r", _RETURN) + "\n"
