"""Classification: IMDB reviews from their folders, AG News from CSV.

Splits of one name are alternatives: with and without the archive's top folder.
"""

import re
from collections.abc import Iterator, Sequence

from mtf_synthesizer.data import csv_files, files
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

TOPICS = ("World", "Sports", "Business", "Sci/Tech")
_CLASS_NAMES = ("class index", "class", "label")  # names of the first column, in lower case
_REVIEW = re.compile(r"(\d+)_(\d+)\.txt(\.gz)?")
_UNLABELLED = -1
# Folder -> ratings of its reviews, and its label in tensorflow_datasets.
_SENTIMENTS = {
    "neg": (range(1, 5), "neg"),
    "pos": (range(7, 11), "pos"),
    "unsup": (range(0, 1), _UNLABELLED),
}


def reviews(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield reviews in the order of their numbers, so that the two folders alternate.

    Args:
      paths: .../{neg,pos,unsup}/NUMBER_RATING.txt

    Raises:
      DataError: a file has another kind of name, or its rating does not belong in its folder.
    """
    for _, path in sorted((_number(path), path) for path in paths):
        _, label = _SENTIMENTS[path.parent.name.lower()]
        yield {"text": "\n".join(files.lines(path)).strip(), "label": label}


def _number(path: Path) -> int:
    name = _REVIEW.fullmatch(path.name.lower())
    ratings, _ = _SENTIMENTS[path.parent.name.lower()]
    if not name or int(name[2]) not in ratings:
        raise DataError(
            f"{path}: files in this folder are named NUMBER_RATING.txt, with a rating from "
            f"{ratings[0]} to {ratings[-1]}. Unpack aclImdb_v1.tar.gz again"
        )
    return int(name[1])


def news(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield rows of class (1 to 4), title and description, with or without a header.

    Raises:
      DataError: a row has another number of fields, or another class.
    """
    for path in paths:
        for place, (number, fields) in enumerate(csv_files.rows(path)):
            if place == 0 and _is_header(fields):
                continue
            if len(fields) != 3 or fields[0] not in ("1", "2", "3", "4"):
                raise DataError(
                    f"{path}: line {number}: expected class (1 to 4), title and description, not "
                    f"{len(fields)} fields: {', '.join(fields)[:80]!r}"
                )
            label, title, description = fields
            yield {
                "label": TOPICS[int(label) - 1],
                "title": title,
                "description": description,
            }


def _is_header(fields: Sequence[str]) -> bool:
    """Return whether the fields are column names, as in copies of the official files."""
    first, *rest = (field.strip().lower() for field in fields)
    return first in _CLASS_NAMES and rest == ["title", "description"]


IMDB = Dataset(
    "imdb_reviews/plain_text:1.0.0",
    tuple(
        Split(name, tuple(f"{top}{folder}/*.txt" for folder in folders), reviews, count)
        for name, folders, count in (
            ("train", ("train/neg", "train/pos"), 25_000),
            ("test", ("test/neg", "test/pos"), 25_000),
            ("unsupervised", ("train/unsup",), 50_000),
        )
        for top in ("aclImdb/", "")
    ),
)
AG_NEWS = Dataset(
    "ag_news_subset:1.0.0",
    tuple(
        Split(name, (f"{top}{name}*.csv",), news, count)
        for name, count in (("train", 120_000), ("test", 7_600))
        for top in ("ag_news_csv/", "")
    ),
)
DATASETS = (IMDB, AG_NEWS)
