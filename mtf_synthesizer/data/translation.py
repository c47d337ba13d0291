"""Translation: WMT'14 and Multi30k from pairs of files, a sentence a line.

Splits of one name are alternatives: the archives as they are unpacked, the same files in one
folder, and pairs that were joined before (train.de and train.en).
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

# Not XML: some of WMT's files are badly formed.
_SEGMENT = re.compile(r"<seg\b[^>]*>(.*?)</seg>", re.IGNORECASE)
_SEGMENT_BEGINS = re.compile(r"<seg\b", re.IGNORECASE)


def pairs(paths: Sequence[Path]) -> Iterator[Row]:
    """{language: sentence} of each line; the files of a language are read one after another.

    Pairs with an empty side are left out, as tensorflow_datasets does: WMT's corpora have many.

    Args:
      paths: equally many files of two languages, in the order in which they belong together. The
        language stands at the end of the name: train.de, train.de.gz, ...-src.de.sgm.

    Raises:
      DataError: two files that belong together have different numbers of lines.
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
    """The language in a file's name, e.g. de for train.de.gz."""
    return re.sub(r"(\.sgm)?(\.gz)?$", "", path.name.lower()).rpartition(".")[2]


def _sentences(path: Path) -> Iterator[str]:
    if ".sgm" not in path.name.lower():
        return files.lines(path)
    return _segments(path)


def _segments(path: Path) -> Iterator[str]:
    """The segments of an SGM file, indented or not, one or several in a line."""
    for number, line in enumerate(files.lines(path), start=1):
        found = _SEGMENT.findall(line)
        if len(found) != len(_SEGMENT_BEGINS.findall(line)):
            raise DataError(
                f"{path}: line {number}: a <seg> does not end in its line: {line.strip()[:60]!r}. "
                "Get the official file"
            )
        yield from found


def _unequal(paths: Sequence[Path]) -> str:
    counts = [f"{path}: {sum(1 for _ in _sentences(path))} sentences" for path in paths]
    return (
        f"{', but '.join(counts)}. Line n of the one must be the translation of line n of the "
        "other: one is cut off, or they are not of the same corpus. Get both again"
    )


def _pair(source: str, *stems: str) -> tuple[str, ...]:
    """Names of the files of two languages: stem.de and stem.en of each stem."""
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


# Counts as tensorflow_datasets lists them: without the pairs that have an empty side.
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
        # As multi30k/dataset calls it, torchtext and the archive of WMT'16's task.
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
