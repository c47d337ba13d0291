"""Tasks on the real samples, prepared as `data prepare` does, with T5's vocabulary."""

import gzip
import itertools

import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds

import mtf_synthesizer.tasks
from mtf_synthesizer.data import prepare
from mtf_synthesizer.upstream import vocabulary

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eager")]

LENGTHS = {"inputs": 512, "targets": 256}


@pytest.fixture(scope="module", autouse=True)
def t5_vocabulary(shared_data):
    [path] = (shared_data / "vocab" / "t5_cc_all.32000").glob("*.model")
    vocabulary.choose(str(path))
    yield
    vocabulary.choose(None)


@pytest.fixture
def rows(shared_data, tmp_path):
    """Prepares the sample of a benchmark, and reads a split of a task on it."""

    def of(benchmark, sample, task, split, lengths=LENGTHS, number=None):
        findings = prepare.survey(benchmark, shared_data / sample, show_progress=False)
        prepare.check(findings, allow_partial=True)
        list(prepare.write(findings, tmp_path, overwrite=True, show_progress=False))
        source = seqio.TaskRegistry.get(task).source.tfds_dataset
        source.override_data_dir(str(tmp_path))
        try:
            dataset = seqio.TaskRegistry.get(task).get_dataset(lengths, split=split, shuffle=False)
            return list(itertools.islice(tfds.as_numpy(dataset), number))
        finally:
            source.override_data_dir(None)

    return of


def decode(ids):
    return vocabulary.DEFAULT.decode(ids.tolist())


def test_multi30k(rows, shared_data):
    found = rows("multi30k", "mt/multi30k", "synthesizer_multi30k_ende_v001", "test")
    with gzip.open(shared_data / "mt/multi30k/test_2016_flickr.de.gz", "rt", "utf-8") as file:
        german = set(file.read().splitlines())
    assert len(found) == 1000
    assert all(row["targets_pretokenized"].decode() in german for row in found)
    assert all(decode(row["inputs"]).startswith("translate English to German: ") for row in found)
    assert max(len(row["inputs"]) for row in found) < 64
    # Too long for no row: the laptop's lengths cut nothing.
    assert max(len(row["targets"]) for row in found) < 96


@pytest.mark.parametrize(
    ("split", "lines", "words"), [("validation", 3_760, 217_646), ("test", 4_358, 245_569)]
)
def test_wikitext2(rows, split, lines, words):
    found = rows("wikitext2", "lm/wikitext-2", "synthesizer_wikitext2_v001", split)
    tokens = np.concatenate([row["targets"] for row in found])
    # The published numbers of lines, and of words with an <eos> a line.
    assert (tokens == 1).sum() == lines
    assert sum(row["words"] for row in found) == words
    assert {len(row["targets"]) for row in found[:-1]} == {256}


def test_tiny_shakespeare(rows):
    found = rows(
        "tiny_shakespeare",
        "lm/tinyshakespeare",
        "synthesizer_tiny_shakespeare_v001",
        "validation",
    )
    assert sum(len(row["targets"]) for row in found) == 55_770
    assert "".join(decode_bytes(row) for row in found[:2]).startswith("?\n\nGREMIO:\nGood morrow")


def decode_bytes(row):
    return vocabulary.load(vocabulary.BYTES).decode(row["targets"].tolist())


def test_summaries(rows):
    found = rows("cnn_dailymail", SUMMARIES, "synthesizer_cnn_dailymail_v001", "test")
    assert len(found) == 500
    assert all(decode(row["inputs"]).startswith("summarize: ") for row in found)
    # Line ends between the sentences of a summary are in the text that metrics compare with.
    assert sum(b"\n" in row["targets_pretokenized"] for row in found) > 400


SUMMARIES = "summarization/cnn_dailymail"


def test_persona_chat_is_never_cut(rows):
    found = rows(
        "personachat", "dialogue/personachat", "synthesizer_personachat_small_v001", "test"
    )
    assert len(found) == 779
    assert all(decode(row["inputs"]).startswith("history: ") for row in found)
    assert len({tuple(row["idx"]) for row in found}) == 779


def test_masked_pages_of_c4(rows):
    lengths = {"inputs": 512, "targets": 512}
    found = rows("c4", "lm/c4", "synthesizer_c4_mlm_v001", "train", lengths, 200)
    masked = np.mean(np.concatenate([row["targets"] for row in found]) > 0)
    assert masked == pytest.approx(0.15, abs=0.005)


def test_news(rows):
    lengths = {"inputs": 128, "targets": 128}
    found = rows("ag_news", "classification/ag_news", "synthesizer_ag_news_v001", "test", lengths)
    classes = np.array([row["targets"][0] for row in found])
    # 1,900 of each class, whose tokens are the bytes "1" to "4".
    assert {int(c): int((classes == c).sum()) for c in np.unique(classes)} == dict.fromkeys(
        range(52, 56), 1_900
    )
    assert {int(row["inputs"][0]) for row in found} == {32_099}
    assert all(len(row["inputs"]) == len(row["targets"]) for row in found)
