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
    """Yield rows of CSV files whose header has at least the columns article, highlights and id.

    Raises:
      DataError: a column is missing, or the number of fields in a row differs from the header.
    """
    for path in paths:
        table = csv_files.rows(path)
        _, columns = next(table, (1, []))
        if not {*_COLUMNS} <= {*columns}:
            raise DataError(
                f"{path}: line 1: expected the columns {', '.join(_COLUMNS)}, not "
                f"{', '.join(columns)[:80]!r}"
            )
        for number, fields in table:
            if len(fields) != len(columns):
                raise DataError(
                    f"{path}: line {number}: {len(fields)} fields for {len(columns)} columns"
                )
            row = dict(zip(columns, fields, strict=True))
            # CSV files do not name the publisher of an article.
            yield {name: row[name] for name in _COLUMNS} | {"publisher": ""}


def stories(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the stories whose addresses the first file lists, without those lacking a summary.

    The SHA-1 of its address names a story.
    """
    urls, *story_files = paths
    identities = {hashlib.sha1(url.strip().encode()).hexdigest() for url in files.lines(urls)}
    for path in story_files:
        identity = path.name.partition(_STORY)[0]
        if identity not in identities:
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
    """Return article and summary: lines after the first @highlight are summary sentences."""
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
    # Picture captions often lack a period, and would run into the next sentence.
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
