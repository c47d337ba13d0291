"""Text for language models: C4, LM1B, WikiText-2 and tiny Shakespeare.

Splits of one name are alternatives: other folders or names for the same files.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError, Dataset, Reader, Row, Split
from mtf_synthesizer.files.paths import Path

_TITLE = re.compile(r" = (?!= ).*(?<! =) = ")  # " = Robert = ", but not " = = Career = = "


_C4_FIELDS = ("text", "timestamp", "url")


def c4(paths: Sequence[Path], needed: Sequence[str] = _C4_FIELDS) -> Iterator[Row]:
    """Yield documents of JSON lines.

    Args:
      paths: the files.
      needed: fields that every document must have; other fields of C4 may be missing.

    Raises:
      DataError: a line is not a JSON object, or a needed field is not a string.
    """
    for path in paths:
        for number, page in files.json_lines(path):
            missing = [name for name in needed if not isinstance(page.get(name), str)]
            if missing:
                raise DataError(
                    f"{path}: line {number}: the field {missing[0]!r} is missing or not a string; "
                    f"fields: {', '.join(page)}. C4's lines have {', '.join(_C4_FIELDS)}"
                )
            # The published JSON lines lack two fields of tensorflow_datasets.
            yield {
                "text": page["text"],
                "url": str(page.get("url") or ""),
                "timestamp": str(page.get("timestamp") or ""),
                "content-type": "",
                "content-length": "",
            }


def _own_pages(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield documents of the user's own files, with those C4 fields that a first line has."""
    for path in paths:
        _, first = next(files.json_lines(path), (0, {}))
        yield from c4([path], ["text", *(name for name in _C4_FIELDS[1:] if name in first)])


def sentences(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield a sentence per line, without the blanks around it."""
    for path in paths:
        for line in files.lines(path):
            yield {"text": line.strip()}


def articles(paths: Sequence[Path]) -> Iterator[Row]:
    r"""Yield WikiText articles, each with its title and its unchanged lines, joined by \n.

    A new article begins with a title of the first level between two blank lines. Some formulas look
    like titles, but are between lines of text.
    """
    for path in paths:
        yield from ({"text": "\n".join(article)} for article in _articles(files.lines(path)))


def _articles(lines: Iterable[str]) -> Iterator[list[str]]:
    article: list[str] = []
    for line in lines:
        if not line.strip() and len(article) > 2 and _is_title(article[-2:]):
            yield article[:-2]
            article = article[-2:]
        article.append(line)
    if article:
        yield article


def _is_title(lines: Sequence[str]) -> bool:
    blank, title = lines
    return not blank.strip() and bool(_TITLE.fullmatch(title))


def shakespeare(paths: Sequence[Path], part: int) -> Iterator[Row]:
    """Yield the text of a part as one example: the first 90 % (0), then 5 % (1) and 5 % (2).

    A text too short for this part yields nothing.
    """
    text = "".join(f"{line}\n" for path in paths for line in files.lines(path))
    first = int(len(text) * 0.9)  # rounded as in tensorflow_datasets
    cuts = (0, first, first + int((len(text) - first) * 0.5), len(text))
    if cuts[part] < cuts[part + 1]:
        yield {"text": text[cuts[part] : cuts[part + 1]]}


def _in_folders(
    name: str, folders: Sequence[str], pattern: str, read: Reader, published: int
) -> tuple[Split, ...]:
    return tuple(Split(name, (f"{folder}{pattern}",), read, published) for folder in folders)


_C4_FOLDERS = ("", "en/")
C4 = Dataset(
    "c4/en:2.2.0",
    (
        *_in_folders("train", _C4_FOLDERS, "c4-train.*.json", c4, 364_868_892),
        *_in_folders("train", _C4_FOLDERS, "*train*.jsonl", _own_pages, 364_868_892),
        *_in_folders("validation", _C4_FOLDERS, "c4-validation.*.json", c4, 364_608),
        *_in_folders("validation", _C4_FOLDERS, "*validation*.jsonl", _own_pages, 364_608),
    ),
)

_LM1B_FOLDERS = ("", "1-billion-word-language-modeling-benchmark-r13output/")
LM1B = Dataset(
    "lm1b:1.1.0",
    (
        *_in_folders(
            "train",
            _LM1B_FOLDERS,
            "training-monolingual.tokenized.shuffled/news.en-*-of-00100",
            sentences,
            30_301_028,
        ),
        *_in_folders(
            "test",
            _LM1B_FOLDERS,
            "heldout-monolingual.tokenized.shuffled/news.en.heldout-*-of-00050",
            sentences,
            306_688,
        ),
    ),
)

WIKITEXT2 = Dataset(
    "wikitext/wikitext-2-v1:1.0.0",
    tuple(
        Split(name, (pattern,), articles, count)
        for name, official, plain, count in (
            ("train", "wiki.train.tokens", "train.txt", 600),
            ("validation", "wiki.valid.tokens", "valid.txt", 60),
            ("test", "wiki.test.tokens", "test.txt", 60),
        )
        for pattern in (official, f"wikitext-2/{official}", plain)
    ),
    features={"text": str},
)

TINY_SHAKESPEARE = Dataset(
    "tiny_shakespeare:1.0.0",
    tuple(
        Split(name, ("input.txt",), functools.partial(shakespeare, part=part), 1)
        for part, name in enumerate(("train", "validation", "test"))
    ),
)

DATASETS = (C4, LM1B, WIKITEXT2, TINY_SHAKESPEARE)
