"""CSV files as AG News and CNN/DailyMail come in: quoted fields that may hold line ends."""

import csv
from collections.abc import Iterator

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.paths import Path


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of its last line and the fields of every row.

    Raises:
      DataError: a quote is not closed or not doubled, which also tells a file that was cut off.
    """
    reader = csv.reader((f"{line}\n" for line in files.lines(path)), strict=True)
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
        yield reader.line_num, fields
