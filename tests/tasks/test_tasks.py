"""The embedded tasks through seqio: vocabulary, features, span corruption, mixture, metrics."""

import itertools
import re

import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds

import mtf_synthesizer.tasks
from mtf_synthesizer.tasks import embedded, pretraining, verses_vocabulary

pytestmark = pytest.mark.usefixtures("eager")

LENGTHS = {"inputs": 64, "targets": 48}
SMALL = ["the quick brown fox jumps over the lazy dog", "a lazy fox and a quick dog"] * 20


@pytest.fixture(scope="module", autouse=True)
def vocabulary_cache(tmp_path_factory):
    """One vocabulary for the module, away from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(verses_vocabulary.CACHE_VARIABLE, str(tmp_path_factory.mktemp("vocabulary")))
        yield


def rows(name, split, lengths, number, **options):
    dataset = seqio.get_mixture_or_task(name).get_dataset(lengths, split=split, **options)
    # Works with and without eager execution, which other tests of a process may have disabled.
    return list(itertools.islice(tfds.as_numpy(dataset), number))


def small_vocabulary(source, pieces=30):
    return verses_vocabulary.TrainedVocabulary(
        "small", lambda: source.read_text().splitlines(), pieces, 3, lambda: [source]
    )


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text("\n".join(SMALL))
    return path


def test_vocabulary_follows_t5():
    vocabulary = verses_vocabulary.VOCABULARY
    assert vocabulary.vocab_size == 2048
    assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id) == (0, 1, 2)
    text = "You shall not give false testimony against your neighbor."
    assert vocabulary.decode(vocabulary.encode(text)) == text
    # The first sentinel is the last id.
    assert vocabulary.encode("<extra_id_0>")[-1] == 2047


def test_vocabulary_is_trained_once_and_is_the_same_again(tmp_path, monkeypatch, source):
    monkeypatch.setenv(verses_vocabulary.CACHE_VARIABLE, str(tmp_path / "a"))
    first = small_vocabulary(source).model_file()
    before = first.stat().st_mtime_ns
    assert small_vocabulary(source).model_file() == first
    assert first.stat().st_mtime_ns == before
    monkeypatch.setenv(verses_vocabulary.CACHE_VARIABLE, str(tmp_path / "b"))
    again = small_vocabulary(source).model_file()
    assert again != first
    assert again.read_bytes() == first.read_bytes()
    assert list((tmp_path / "b").glob("*.model")) == [again]


def test_unchanged_sources_are_not_read_into_sentences_again(tmp_path, monkeypatch, source):
    monkeypatch.setenv(verses_vocabulary.CACHE_VARIABLE, str(tmp_path / "a"))
    first = small_vocabulary(source).model_file()

    def never():
        raise AssertionError("the sentences were made again")

    again = verses_vocabulary.TrainedVocabulary("small", never, 30, 3, lambda: [source])
    assert again.model_file() == first
    first.unlink()  # the pointer alone is not enough
    assert small_vocabulary(source).model_file() == first


def test_another_text_or_size_gets_another_file(tmp_path, monkeypatch, source):
    monkeypatch.setenv(verses_vocabulary.CACHE_VARIABLE, str(tmp_path / "a"))
    small_vocabulary(source).model_file()
    small_vocabulary(source, pieces=31).model_file()
    source.write_text("\n".join([*SMALL, "one more dog"]))
    small_vocabulary(source).model_file()
    assert len(list((tmp_path / "a").glob("*.model"))) == 3


def test_cache_directory(monkeypatch, tmp_path):
    monkeypatch.setenv(verses_vocabulary.CACHE_VARIABLE, str(tmp_path))
    assert verses_vocabulary.cache_directory() == tmp_path
    monkeypatch.delenv(verses_vocabulary.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert verses_vocabulary.cache_directory() == tmp_path / "x" / "mtf_synthesizer"


def test_making_a_vocabulary_reads_nothing():
    def fail():
        raise AssertionError("sentences were read before the vocabulary was used")

    verses_vocabulary.TrainedVocabulary("unused", fail, 40, 3, fail)


@pytest.mark.parametrize("name", embedded.TASKS)
def test_task_rows_say_what_the_examples_say(name):
    examples, _ = embedded.TASKS[name]
    decode = verses_vocabulary.VOCABULARY.decode
    # Long enough that nothing is cut; in order, with the number of each example.
    got = rows(name, "test", {"inputs": 256, "targets": 256}, 11, shuffle=False)
    for number, (row, example) in enumerate(zip(got, examples("test"), strict=False)):
        assert row["idx"] == number
        assert row["inputs"][-1] == row["targets"][-1] == 1
        assert decode(row["inputs"].tolist()) == example.inputs.replace("æ", "ae")
        assert decode(row["targets"].tolist()) == example.targets.replace("æ", "ae")


@pytest.mark.parametrize("name", embedded.TASKS)
def test_most_rows_fit_the_lengths_of_the_demo(name):
    got = rows(name, "test", {"inputs": 96, "targets": 48}, 400, shuffle=False)
    full = sum(len(row["inputs"]) == 96 or len(row["targets"]) == 48 for row in got)
    assert full <= 0.02 * len(got)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_span_corruption_round_trip(split):
    """Putting each target span where its sentinel stands gives running text of the split."""
    text = normalized(" ".join(pretraining.documents(split)))
    sentinels = range(2047, 1947, -1)
    for row in rows(pretraining.SPANS, split, LENGTHS, 7, shuffle=split == "train", seed=5):
        assert len(row["inputs"]) == 64  # filled to the last token: nothing to pack
        spans = dict(split_at(row["targets"], sentinels))
        assert list(spans) == list(sentinels[: len(spans)])
        assert sum(token in sentinels for token in row["inputs"]) == len(spans)
        whole = [
            token for place in row["inputs"][:-1].tolist() for token in spans.get(place, [place])
        ]
        # A row may run over the end of one document; one of its halves is running text.
        half = len(whole) // 2
        decoded = [
            normalized(verses_vocabulary.VOCABULARY.decode(p)) for p in (whole[:half], whole[half:])
        ]
        assert any(part[8:-8] in text for part in decoded)
        masked = sum(map(len, spans.values()))
        assert 0.1 < masked / len(whole) < 0.2


def split_at(targets, sentinels):
    """(sentinel, the tokens after it) of a span-corruption target."""
    targets = targets.tolist()[:-1]
    starts = [i for i, token in enumerate(targets) if token in sentinels]
    for start, end in itertools.zip_longest(starts, starts[1:], fillvalue=len(targets)):
        yield targets[start], targets[start + 1 : end]


def normalized(text):
    return re.sub(r"[^a-zA-Z]+", " ", text)


@pytest.mark.slow
def test_seed_decides_the_order_of_training_rows():
    def first(seed):
        return rows(pretraining.SPANS, "train", LENGTHS, 1, shuffle=True, seed=seed)[0]["inputs"]

    assert np.array_equal(first(3), first(3))
    assert not np.array_equal(first(3), first(4))


def test_mixture_has_the_three_tasks_in_their_rates():
    mixture = seqio.get_mixture_or_task(embedded.VERSES)
    assert sorted(task.name for task in mixture.tasks) == sorted(embedded.TASKS)
    texts = [
        verses_vocabulary.VOCABULARY.decode(row["inputs"].tolist())
        for row in rows(embedded.VERSES, "train", LENGTHS, 600, shuffle=True, seed=7)
    ]
    for prefix, expected in [("testament:", 75), ("same verse:", 225), ("modern:", 300)]:
        assert abs(sum(text.startswith(prefix) for text in texts) - expected) < 50


@pytest.mark.parametrize("name", embedded.TASKS)
def test_tasks_evaluate_with_their_metric(name):
    task = seqio.get_mixture_or_task(name)
    targets = [example.targets for example in embedded.TASKS[name][0]("test")[:50]]
    (metric,) = task.metric_fns
    assert list(metric(targets, targets).values()) == [pytest.approx(100)]
