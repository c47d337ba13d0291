"""Summarization: CNN/DailyMail 3.0.0, as CSV files or as the stories it is made from.

Splits of one name are alternatives: the stories with the lists of their addresses, as
tensorflow_datasets reads them, or CSV files with the columns article, highlights and id.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from mtf_synthesizer.data import csv_files, files
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

_COLUMNS = ("article", "highlights", "id")
_HIGHLIGHT = "@highlight"
_SENTENCE_ENDS = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")
_STORY = ".story"


def summaries(paths: Sequence[Path]) -> Iterator[Row]:
    """Rows of CSV files whose first line names at least the columns article, highlights and id.

    Raises:
      DataError: a column is missing, or a row has not as many fields as there are columns.
    """
    for path in paths:
        table = csv_files.rows(path)
        _, columns = next(table, (1, []))
        if not {*_COLUMNS} <= {*columns}:
            raise DataError(
                f"{path}: line 1: the columns {', '.join(_COLUMNS)} were expected, not "
                f"{', '.join(columns)[:80]!r}"
            )
        for number, fields in table:
            if len(fields) != len(columns):
                raise DataError(
                    f"{path}: line {number}: {len(fields)} fields, but {len(columns)} columns"
                )
            row = dict(zip(columns, fields, strict=True))
            # CSV files don't say which of the two publishers an article is from.
            yield {name: row[name] for name in _COLUMNS} | {"publisher": ""}


def stories(paths: Sequence[Path]) -> Iterator[Row]:
    """The stories whose addresses the first file lists; stories without a summary are left out.

    A story's name is the SHA-1 of its address.
    """
    urls, *story_files = paths
    wanted = {hashlib.sha1(url.strip().encode()).hexdigest() for url in files.lines(urls)}
    for path in story_files:
        identity = path.name.partition(_STORY)[0]
        if identity not in wanted:
            continue
        article, highlights = _parts(files.lines(path))
        if article and highlights:
            publisher = _PUBLISHERS[path.parent.parent.name.lower()]
            yield {
                "article": article,
                "highlights": highlights,
                "publisher": publisher,
                "id": identity,
            }


def _parts(lines: Iterable[str]) -> tuple[str, str]:
    """Article and summary: after the first @highlight, every line is a sentence of the summary."""
    article: list[str] = []
    highlights: list[str] = []
    part = article
    for line in filter(None, map(str.strip, lines)):
        if line.startswith(_HIGHLIGHT):
            part = highlights
        else:
            part.append(_with_period(line))
    return " ".join(article), "\n".join(highlights)


def _with_period(line: str) -> str:
    # Captions of pictures often lack theirs, and would run into the next sentence.
    return line if line.endswith(_SENTENCE_ENDS) or _HIGHLIGHT in line else f"{line}."


_PUBLISHERS = {"cnn": "cnn", "dailymail": "dm"}
_STORIES = tuple(f"{name}/stories/*{_STORY}" for name in _PUBLISHERS)
DATASETS = (
    Dataset(
        "cnn_dailymail:3.4.0",
        tuple(
            Split(name, names, read, count)
            for name, list_name, count in (
                ("train", "train", 287_113),
                ("validation", "val", 13_368),
                ("test", "test", 11_490),
            )
            for names, read in (
                ((f"url_lists/all_{list_name}.txt", *_STORIES), stories),
                ((f"all_{list_name}.txt", *_STORIES), stories),
                ((f"{name}*.csv",), summaries),
            )
        ),
    ),
)
