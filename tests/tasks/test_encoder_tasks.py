"""Tasks for models that are an encoder only: masked tokens of C4, and classes of texts."""

import json

import numpy as np
import pytest
import seqio
import tensorflow as tf
from small_files import write
from task_rows import BYTES, prepare, rows, small_model, texts

import mtf_synthesizer.tasks
from mtf_synthesizer.data import classification, language_modeling
from mtf_synthesizer.tasks.classification import CLASSES, class_token
from mtf_synthesizer.upstream import vocabulary as vocabularies

pytestmark = pytest.mark.usefixtures("eager", "byte_vocabulary")


@pytest.fixture(scope="module")
def byte_vocabulary():
    vocabularies.choose(vocabularies.BYTES)
    yield
    vocabularies.choose(None)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Enough of C4's layout for statistics, prepared."""
    folder = tmp_path_factory.mktemp("c4")
    line = "Beginners BBQ Class Taking Place in Missoula! "
    write(
        folder,
        "c4-train.00000-of-01024.json.gz",
        *(
            json.dumps({"text": f"{number} {line * 30}", "timestamp": "", "url": ""})
            for number in range(60)
        ),
    )
    return prepare(language_modeling.C4, folder)


@pytest.mark.slow
def test_masked_tokens(pages):
    lengths = {"inputs": 127, "targets": 127}
    clean = rows("synthesizer_lm_of_c4", "train", pages, lengths)
    noisy = rows("synthesizer_c4_mlm_v001", "train", pages, lengths, seed=3)
    tokens = np.concatenate([row["targets"] for row in clean])
    inputs = np.concatenate([row["inputs"] for row in noisy])
    targets = np.concatenate([row["targets"] for row in noisy])
    assert len(tokens) > 80_000
    # Every row but the last is filled, and both features are equally long.
    assert {len(row["inputs"]) for row in noisy[:-1]} == {127}
    assert all(len(row["inputs"]) == len(row["targets"]) for row in noisy)
    chosen = targets > 0
    assert np.array_equal(targets[chosen], tokens[chosen])
    assert np.array_equal(inputs[~chosen], tokens[~chosen])
    assert chosen.mean() == pytest.approx(0.15, abs=0.004)
    masked = inputs[chosen] == BYTES.vocab_size - 1
    kept = inputs[chosen] == tokens[chosen]
    # A random token is the first sentinel or the token itself once in 381 times each.
    assert masked.mean() == pytest.approx(0.8, abs=0.012)
    assert kept.mean() == pytest.approx(0.1, abs=0.01)
    assert (~masked & ~kept).mean() == pytest.approx(0.1, abs=0.01)


def test_masked_tokens_are_others_with_another_seed(pages):
    lengths = {"inputs": 127, "targets": 127}
    first, again, other = (
        rows("synthesizer_c4_mlm_v001", "train", pages, lengths, number=1, seed=seed)[0]["targets"]
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.fixture(scope="module", autouse=True)
def clean_rows_of_c4(byte_vocabulary):
    """A task that differs from masked language modelling in the noise only."""
    masked = seqio.get_mixture_or_task("synthesizer_c4_mlm_v001")
    name = "synthesizer_lm_of_c4"
    seqio.TaskRegistry.add(
        name,
        source=seqio.TfdsDataSource(tfds_name="c4/en:2.2.0"),
        preprocessors=masked.preprocessors[:-1],
        output_features={"targets": masked.output_features["targets"]},
    )
    yield
    seqio.TaskRegistry.remove(name)


def write_reviews(folder):
    write(folder, "aclImdb/test/pos/0_9.txt", "a good film")
    write(folder, "aclImdb/test/neg/0_2.txt", "a bad film")
    write(folder, "aclImdb/train/unsup/0_0.txt", "a film")


@pytest.mark.parametrize("length", [5, 64])
@pytest.mark.parametrize("kind", ["bytes", "sentencepiece"])
def test_reviews_for_an_encoder(tmp_path, kind, length):
    write_reviews(tmp_path)
    vocabularies.choose("bytes" if kind == "bytes" else str(small_model(tmp_path)))
    try:
        vocabulary = vocabularies.DEFAULT.chosen
        lengths = {"inputs": length, "targets": length}
        found = rows(
            "synthesizer_imdb_v001", "test", prepare(classification.IMDB, tmp_path), lengths
        )
        ids = {"neg": ord("1") + 3, "pos": ord("2") + 3}  # of the targets' bytes
        size = vocabulary.vocab_size
        assert len(found) == 2
        for row in found:
            label = row["targets_pretokenized"].decode()
            words = vocabulary.encode({"pos": "a good film", "neg": "a bad film"}[label])
            expected = [size - 1, *words][:length]
            assert row["inputs"].tolist() == expected
            assert row["targets"].tolist() == [ids[label]] + [0] * (len(expected) - 1)
    finally:
        vocabularies.choose(vocabularies.BYTES)


def test_news_for_an_encoder_and_in_words(tmp_path):
    write(tmp_path, "test.csv", '"4","Rocket","Up, up"')
    folder = prepare(classification.AG_NEWS, tmp_path)
    [row] = rows("synthesizer_ag_news_v001", "test", folder)
    assert BYTES.decode(row["inputs"][1:].tolist()) == "Rocket Up, up"
    assert row["targets"][0] == ord("4") + 3
    assert row["targets_pretokenized"] == b"Sci/Tech"
    [row] = rows("synthesizer_ag_news_text_v001", "test", folder)
    assert texts(row) == ("ag news topic: Rocket Up, up", "Sci/Tech")


def test_reviews_in_words(tmp_path):
    write_reviews(tmp_path)
    found = rows("synthesizer_imdb_text_v001", "test", prepare(classification.IMDB, tmp_path))
    assert {texts(row) for row in found} == {
        ("imdb sentiment: a good film", "pos"),
        ("imdb sentiment: a bad film", "neg"),
    }


@pytest.mark.parametrize(
    ("output", "label"),
    [
        ("1", "neg"),
        ("2", "pos"),
        ("1aaa2", "neg"),
        ("0", ""),
        ("3", ""),
        ("a1", ""),
        ("pos", "pos"),
        ("neg", "neg"),
        ("positive", ""),
        ("", ""),
    ],
)
def test_what_an_encoder_answers(output, label):
    task = seqio.get_mixture_or_task("synthesizer_imdb_v001")
    assert task.postprocess_fn(output, example={}, is_target=False) == label


def test_what_is_decoded_in_the_graph_is_understood():
    task = seqio.get_mixture_or_task("synthesizer_ag_news_v001")
    [text] = CLASSES.decode_tf(tf.constant([[ord("3") + 3, 1, 1]])).numpy()
    assert task.postprocess_fn(text.decode(), example={}, is_target=False) == "Business"


def test_the_class_token_needs_a_sentinel():
    with pytest.raises(ValueError, match="no sentinels"):
        class_token(seqio.ByteVocabulary())
