"""Where examples come from: public-domain English translations of the Bible, aligned by verse.

The texts are those of the `pythonbible-*` packages (see NOTICE for origin and licences). Their
verse tables are read directly: asking `pythonbible` for the verses one by one takes minutes.
"""

import dataclasses
import functools
import hashlib
import importlib
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
# Literal 0.53; of neighbouring verses 0.13. Packages whose verses have drifted lie at 0.13 to 0.18.
MINIMUM_OVERLAP = 0.4
OVERLAP_SAMPLE = 3000

VALIDATION_PERCENT = 4
TEST_PERCENT = 10
FIRST_NEW_TESTAMENT_BOOK = 40

Texts = Mapping[int, str]


@dataclasses.dataclass(frozen=True)
class Verse:
    """One verse in every translation.

    Attributes:
        identity: book * 1,000,000 + chapter * 1,000 + verse, as `pythonbible` numbers them.
        texts: its text for each key of `TRANSLATIONS`.
    """

    identity: int
    texts: Mapping[str, str]

    @property
    def chapter(self) -> int:
        """Book and chapter as one number: what splits and hard negatives go by."""
        return self.identity // 1000

    @property
    def in_new_testament(self) -> bool:
        return self.identity // 1_000_000 >= FIRST_NEW_TESTAMENT_BOOK


def fixed_order(*key: object) -> int:
    """A pseudo-random number that depends on `key` alone, on every machine and in every run."""
    return int.from_bytes(hashlib.md5(repr(key).encode()).digest()[:8], "big")


def words(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation."""
    return re.findall(r"[a-zæïü']+", text.lower())


def overlap(left: str, right: str) -> float:
    """Words that two texts share, as a part of the words that either has: 0 to 1."""
    a, b = set(words(left)), set(words(right))
    return len(a & b) / max(1, len(a | b))


def check_alignment(reference: Texts, other: Texts, name: str) -> float:
    """Checks that `other` says in each verse what `reference` says; returns the mean overlap.

    Raises:
        ValueError: the mean word overlap over a sample of verses lies below `MINIMUM_OVERLAP`,
            which means that verse numbers stand for other verses than they should.
    """
    shared = sorted(reference.keys() & other.keys(), key=fixed_order)[:OVERLAP_SAMPLE]
    mean = sum(overlap(reference[i], other[i]) for i in shared) / max(1, len(shared))
    if mean < MINIMUM_OVERLAP:
        raise ValueError(
            f"translation {name!r} is not aligned with the King James Version: over "
            f"{len(shared)} verses the mean word overlap is {mean:.2f}, at least "
            f"{MINIMUM_OVERLAP} is expected (aligned translations have 0.5 to 0.9, neighbouring "
            f"verses 0.13). Install another release of pythonbible-{name}, or leave it out."
        )
    return mean


def clean(text: str) -> str:
    """One line; without the brackets around supplied words, and with one kind of apostrophe."""
    plain = re.sub(r"[\[\]]", "", text).replace("’", "'").replace("`", "'")
    return " ".join(plain.split())


def read_translation(name: str) -> dict[int, str]:
    """The cleaned text of every verse of one translation, by verse number; empty ones left out.

    Raises:
        ValueError: `name` is none of `TRANSLATIONS`.
        ImportError: its package is not installed.
    """
    if name not in TRANSLATIONS:
        raise ValueError(f"unknown translation {name!r}; known are {', '.join(TRANSLATIONS)}")
    try:
        module = importlib.import_module(f"pythonbible_{name}.plain_text_readers_bible")
    except ImportError as error:
        raise ImportError(
            f"the text of the {TRANSLATIONS[name]} comes with the package pythonbible-{name}, "
            f"which can't be imported ({error}); install it with: pip install pythonbible-{name}"
        ) from error
    bible = module.bible
    texts = {
        identity: clean(bible.scripture_content[start : bible.verse_end_indices[identity]])
        for identity, start in bible.verse_start_indices.items()
    }
    return {identity: text for identity, text in texts.items() if text}


def align(translations: Mapping[str, Texts]) -> list[Verse]:
    """Joins translations by verse number, in the order of the book.

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
    """The split that all verses of a chapter belong to, in every task and in pretraining."""
    percent = fixed_order("split", chapter) % 100
    if percent < TEST_PERCENT:
        return "test"
    if percent < TEST_PERCENT + VALIDATION_PERCENT:
        return "validation"
    return "train"


def split_verses(verses: Iterable[Verse]) -> dict[str, list[Verse]]:
    """Splits by chapter, and drops what would leak all the same.

    Some sentences occur in several chapters ("And the LORD spake unto Moses, saying,"). A
    held-out verse goes if the same words stand, in any translation, in a split before its own.
    """
    members: dict[str, list[Verse]] = {split: [] for split in SPLITS}
    for verse in verses:
        members[split_of_chapter(verse.chapter)].append(verse)
    seen: set[str] = set()
    result = {}
    for split in SPLITS:
        result[split] = [v for v in members[split] if seen.isdisjoint(_wordings(v))]
        seen.update(wording for verse in members[split] for wording in _wordings(verse))
    return result


def _wordings(verse: Verse) -> Sequence[str]:
    return [" ".join(words(text)) for text in verse.texts.values()]


@functools.cache
def splits() -> Mapping[str, Sequence[Verse]]:
    """All verses by split; reads the packages when first asked (about 3 s).

    Raises:
        ValueError: a translation is not aligned.
        ImportError: a package is missing.
    """
    return split_verses(align({name: read_translation(name) for name in TRANSLATIONS}))
