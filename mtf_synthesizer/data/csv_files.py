"""CSV files as AG News and CNN/DailyMail come in: quoted fields that may hold line ends."""

import csv
import itertools
import re
from collections.abc import Iterator

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.files.paths import Path

_LONGEST_FIELD = 2**31 - 1  # characters; Python's own limit, 128 KiB, is below a long article
_QUOTED = re.compile(r'"[^"]*"?')
# Stands for a carriage return inside a line, which Python's reader refuses outside quotes. UTF-8
# can't hold half a surrogate pair, so that no text has one.
_RETURN = "\udc0d"


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of its last line and the fields of every row that is not blank.

    A lone carriage return is part of its field. Where it ends the first line, it ends all.

    Raises:
      DataError: a quote is not closed or not doubled, which also tells a file that was cut off.
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
                f"{path}: line {reader.line_num}: not CSV ({error}). If it is the last line, the "
                "download was cut off: get the file again"
            ) from error
        if fields:
            yield reader.line_num, [field.replace(_RETURN, "\r") for field in fields]


def _lines(path: Path) -> Iterator[str]:
    """The lines as Python's reader wants them."""
    lines = files.lines(path)
    for first in lines:
        if "\r" in _QUOTED.sub("", first):  # as old Macs ended lines
            for line in itertools.chain([first], lines):
                yield from (f"{part}\n" for part in line.split("\r"))
        else:
            for line in itertools.chain([first], lines):
                yield line.replace("\r", _RETURN) + "\n"
