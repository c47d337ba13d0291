"""Translation: WMT'14 and Multi30k from pairs of files with one sentence per line.

Splits of one name are alternatives: the unpacked archives, the same files in one folder, and pairs
that were joined before (train.de and train.en).
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

# A regular expression instead of XML, because some of WMT's files are not well-formed.
_SEGMENT = re.compile(r"<seg\b[^>]*>(.*?)</seg>", re.IGNORECASE)
_SEGMENT_BEGINS = re.compile(r"<seg\b", re.IGNORECASE)


def pairs(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield {language: sentence} for each line; files of one language follow one another.

    Pairs with an empty side are left out, as in tensorflow_datasets: WMT's corpora have many.

    Args:
      paths: equally many files of two languages, in corresponding order. The language ends the
        name: train.de, train.de.gz, ...-src.de.sgm.

    Raises:
      DataError: two corresponding files have different numbers of lines.
    """
    by_language: dict[str, list[Path]] = {}
    for path in paths:
        by_language.setdefault(language(path), []).append(path)
    for members in zip(*by_language.values(), strict=True):
        for sentences in itertools.zip_longest(*map(_sentences, members)):
            if None in sentences:
                raise DataError(_unequal(members))
            if all(sentences):
                yield dict(zip(by_language, sentences, strict=True))


def language(path: Path) -> str:
    """Return the language in a file's name, e.g. de for train.de.gz."""
    return re.sub(r"(\.sgm)?(\.gz)?$", "", path.name.lower()).rpartition(".")[2]


def _sentences(path: Path) -> Iterator[str]:
    if ".sgm" not in path.name.lower():
        return files.lines(path)
    return _segments(path)


def _segments(path: Path) -> Iterator[str]:
    """Yield the segments of an SGM file, indented or not, one or several per line."""
    for number, line in enumerate(files.lines(path), start=1):
        segments = _SEGMENT.findall(line)
        if len(segments) != len(_SEGMENT_BEGINS.findall(line)):
            raise DataError(
                f"{path}: line {number}: a <seg> does not end in its line: {line.strip()[:60]!r}. "
                "Download the official file"
            )
        yield from segments


def _unequal(paths: Sequence[Path]) -> str:
    counts = [f"{path}: {sum(1 for _ in _sentences(path))} sentences" for path in paths]
    return (
        f"{', but '.join(counts)}. Line n of one file must translate line n of the other, so one "
        "is truncated or from another corpus: download both again"
    )


def _pair(source: str, *stems: str) -> tuple[str, ...]:
    """Return the file names of two languages: stem.de and stem.en for each stem."""
    return tuple(f"{stem}.{name}" for stem in stems for name in (source, "en"))


def _flat(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.rpartition("/")[2] for name in names)


def _sgm(folder: str, source: str) -> tuple[str, str]:
    stem = f"{folder}newstest2014-{source}en"
    return f"{stem}-src.{source}.sgm", f"{stem}-ref.en.sgm"


def _wmt14(source: str, corpora: Sequence[str], examples: int) -> Dataset:
    train = _pair(source, *corpora)
    layouts = (
        ("train", examples, [train, _flat(train), _pair(source, "train")]),
        ("validation", 3000, [_pair(source, f"{folder}newstest2013") for folder in ("dev/", "")]),
        (
            "test",
            3003,
            [
                *(_sgm(folder, source) for folder in ("dev/", "test/", "test-full/", "")),
                _pair(source, "newstest2014"),
            ],
        ),
    )
    return Dataset(
        f"wmt14_translate/{source}-en:1.0.0",
        tuple(
            Split(name, names, pairs, count) for name, count, all_of in layouts for names in all_of
        ),
    )


# Counts of tensorflow_datasets: without pairs that have an empty side.
WMT14 = (
    _wmt14(
        "de",
        (
            "training/europarl-v7.de-en",
            "commoncrawl.de-en",
            "training/news-commentary-v9.de-en",
        ),
        4_508_785,
    ),
    _wmt14(
        "fr",
        (
            "training/europarl-v7.fr-en",
            "commoncrawl.fr-en",
            "un/undoc.2000.fr-en",
            "training/news-commentary-v9.fr-en",
            "giga-fren.release2.fixed",
        ),
        40_836_715,
    ),
)


def _multi30k(source: str) -> Dataset:
    splits: tuple[tuple[str, int, tuple[str, ...]], ...] = (
        ("train", 29_000, ("train",)),
        ("validation", 1_014, ("val", "valid")),
        # Names in multi30k/dataset, in torchtext, and in the archive of the WMT'16 task.
        ("test", 1_000, ("test_2016_flickr", "test2016", "test")),
        ("test_2017_flickr", 1_000, ("test_2017_flickr", "test2017")),
        ("test_2017_mscoco", 461, ("test_2017_mscoco", "testcoco")),
        ("test_2018_flickr", 1_071, ("test_2018_flickr",)),
    )
    return Dataset(
        f"multi30k/{source}-en:1.0.0",
        tuple(
            Split(name, _pair(source, stem), pairs, count)
            for name, count, stems in splits
            for stem in stems
        ),
        features={source: str, "en": str},
    )


MULTI30K = (_multi30k("de"), _multi30k("fr"))
DATASETS = (*WMT14, *MULTI30K)
