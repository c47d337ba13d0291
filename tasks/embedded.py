"""The embedded benchmark: tasks on real text that need no download beyond Python packages.

    task            inputs                                         targets
    testament       testament: <verse>                             old | new
    same_verse      same verse: first: <verse> second: <verse>     same | other
    modern_english  modern: <verse in older English>               <the verse in World English>

Every chapter belongs to one split, in all tasks and in pretraining. Training examples take each
verse in all translations. Held-out examples take it once, so that they count as independent.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import seqio
import tensorflow as tf
from t5.data import postprocessors, preprocessors
from t5.evaluation import metrics as t5_metrics

from mtf_synthesizer.tasks import metrics, text_metrics, verses_vocabulary
from mtf_synthesizer.tasks.verses import SPLITS, TRANSLATIONS, Verse, fixed_order, splits

# Longer verses are used in pretraining only, because short rows make a CPU run fast.
MAXIMUM_WORDS = 16
# Young's Literal is left out, because its wording differs so much from the others that telling its
# verses apart takes a larger model.
SAME_VERSE_PAIRS = (("kjv", "asv"), ("kjv", "web"), ("asv", "web"))
# Copying Young's Literal scores a BLEU of 28, King James 47, American Standard 61. The near
# translations teach copying and modern words, the far translation also reordering, and it tests.
MODERNIZED = {"train": ("asv", "kjv", "ylt"), "validation": ("ylt",), "test": ("ylt",)}


class Example(NamedTuple):
    """An example of text to text."""

    inputs: str
    targets: str


def short_verses(split: str) -> list[Verse]:
    """Return the verses of a split with at most `MAXIMUM_WORDS` words in every translation."""
    return [
        verse
        for verse in splits()[split]
        if max(len(text.split()) for text in verse.texts.values()) <= MAXIMUM_WORDS
    ]


def choices(split: str, verse: Verse, all_choices: Sequence, task: str) -> Sequence:
    """Return `all_choices` in training, and a fixed one of them for a held-out verse."""
    if split == "train":
        return all_choices
    return [all_choices[fixed_order(task, verse.identity) % len(all_choices)]]


def testament(split: str) -> list[Example]:
    """Return examples of "Old or New Testament?", equally many of each."""
    items: dict[str, list[tuple[Verse, str]]] = {"old": [], "new": []}
    for verse in short_verses(split):
        label = "new" if verse.in_new_testament else "old"
        for name in choices(split, verse, tuple(TRANSLATIONS), "testament"):
            items[label].append((verse, name))
    size = min(map(len, items.values()))
    chosen = [item for members in items.values() for item in _shuffled(members, "testament")[:size]]
    return [
        Example(f"testament: {verse.texts[name]}", "new" if verse.in_new_testament else "old")
        for verse, name in _shuffled(chosen, "testament")
    ]


def same_verse(split: str) -> list[Example]:
    """Return pairs from different translations of equal or different verses of one chapter."""
    verses = short_verses(split)
    others = {
        verse.identity: _others(verse, chapter)
        for chapter in _chapters(verses)
        for verse in chapter
    }
    items = [
        (verse, pair)
        for verse in verses
        if others[verse.identity]
        for pair in choices(split, verse, SAME_VERSE_PAIRS, "same_verse")
    ]
    examples = []
    for number, (verse, pair) in enumerate(_shuffled(items, "same_verse")):
        left, right = pair if fixed_order("order", verse.identity, pair) % 2 else pair[::-1]
        second, label = verse, "same"
        if number % 2:
            negatives = others[verse.identity]
            choice = fixed_order("negative", verse.identity, pair) % len(negatives)
            second, label = negatives[choice], "other"
        text = f"same verse: first: {verse.texts[left]} second: {second.texts[right]}"
        examples.append(Example(text, label))
    return examples


def _chapters(verses: Sequence[Verse]) -> Iterator[list[Verse]]:
    for _, members in itertools.groupby(verses, key=lambda verse: verse.chapter):
        yield list(members)


def _others(verse: Verse, chapter: Sequence[Verse]) -> list[Verse]:
    """Return the verses of a chapter that differ from `verse` in every translation."""
    return [
        other
        for other in chapter
        if all(other.texts[name] != text for name, text in verse.texts.items())
    ]


def modern_english(split: str) -> list[Example]:
    """Return pairs of an older translation (held-out: Young's Literal) and World English."""
    return [
        Example(f"modern: {verse.texts[name]}", verse.texts["web"])
        for verse, name in _shuffled(
            [(verse, name) for verse in short_verses(split) for name in MODERNIZED[split]],
            "modern_english",
        )
    ]


def _shuffled(items: Sequence[tuple[Verse, object]], task: str) -> list:
    return sorted(items, key=lambda item: fixed_order(task, item[0].identity, item[1]))


def data_source(examples: Callable[[str], Sequence[Example]]) -> seqio.FunctionDataSource:
    """Return a seqio source of `examples(split)`, each with its number in the split as `idx`."""
    examples_of = functools.cache(examples)

    def dataset(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        members = examples_of(split)
        result = tf.data.Dataset.from_tensor_slices(
            {
                "inputs": [example.inputs for example in members],
                "targets": [example.targets for example in members],
                "idx": list(range(len(members))),
            }
        )
        # The examples are in memory, so the whole split is shuffled, not a window of it.
        return result.shuffle(len(members), seed=seed) if shuffle_files else result

    return seqio.FunctionDataSource(dataset, splits=SPLITS)


TASKS = {
    "synthesizer_testament_v001": (testament, metrics.accuracy),
    "synthesizer_same_verse_v001": (same_verse, metrics.accuracy),
    "synthesizer_modern_english_v001": (modern_english, text_metrics.international_bleu),
}
for _name, (_examples, _metric) in TASKS.items():
    seqio.TaskRegistry.add(
        _name,
        source=data_source(_examples),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim],
        output_features=verses_vocabulary.OUTPUT_FEATURES,
        metric_fns=[_metric],
    )


TESTAMENTS = ("old", "new")


def rank_testaments(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Make an example for each testament of a verse, right or wrong, for a choice by rank."""
    return preprocessors.rank_classification(
        dataset,
        inputs_fn=lambda example: tf.repeat(example["inputs"], len(TESTAMENTS)),
        targets_fn=lambda example: tf.constant(TESTAMENTS),
        is_correct_fn=lambda example: tf.equal(tf.constant(TESTAMENTS), example["targets"]),
    )


seqio.TaskRegistry.add(
    "synthesizer_testament_rank_v001",
    source=data_source(testament),
    preprocessors=[
        rank_testaments,
        seqio.preprocessors.tokenize,
        seqio.preprocessors.append_eos_after_trim,
    ],
    output_features=verses_vocabulary.OUTPUT_FEATURES,
    postprocess_fn=postprocessors.rank_classification,
    metric_fns=[functools.partial(t5_metrics.rank_classification, num_classes=len(TESTAMENTS))],
)

VERSES = "synthesizer_verses_v001"

# Testaments are learned from the fewest examples, translation from the most.
RATES = {
    "synthesizer_testament_v001": 1.0,
    "synthesizer_same_verse_v001": 3.0,
    "synthesizer_modern_english_v001": 4.0,
}

seqio.MixtureRegistry.add(VERSES, list(RATES.items()))
