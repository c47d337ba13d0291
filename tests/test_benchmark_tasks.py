"""Tasks on published data: from small official files, prepared, to the rows a model is given."""

import itertools
import json

import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds
from small_files import read, write

import mtf_synthesizer.tasks  # noqa: F401
from mtf_synthesizer.data import (
    classification,
    dialogue,
    language_modeling,
    prepared,
    questions,
    sentence_pieces,
    summarization,
    translation,
)
from mtf_synthesizer.tasks import classification as classification_tasks
from mtf_synthesizer.tasks import vocabularies

pytestmark = pytest.mark.usefixtures("eager", "byte_vocabulary")

BYTES = seqio.ByteVocabulary(vocabularies.BYTE_SENTINELS)
LONG = {"inputs": 512, "targets": 512}
EOS = 1


@pytest.fixture(scope="module")
def byte_vocabulary():
    vocabularies.choose(vocabularies.BYTES)
    yield
    vocabularies.choose(None)


@pytest.fixture
def prepare(tmp_path):
    """Writes the official files in tmp_path as tensorflow_datasets reads them."""

    def of(dataset):
        found = read(dataset, tmp_path)
        assert found
        prepared.write(dataset, found, tmp_path / "prepared")
        return tmp_path / "prepared"

    return of


def rows(name, split, folder, lengths=None, number=None, **options):
    """The first rows of a task that reads its data below a folder."""
    task = seqio.get_mixture_or_task(name)
    source = task.source.tfds_dataset
    source.override_data_dir(str(folder))
    try:
        dataset = task.get_dataset(lengths or LONG, split=split, **{"shuffle": False, **options})
        return list(itertools.islice(tfds.as_numpy(dataset), number))
    finally:
        source.override_data_dir(None)


def texts(row):
    """Inputs and targets, which end with EOS, as text."""
    assert row["inputs"][-1] == row["targets"][-1] == EOS
    return tuple(BYTES.decode(row[name].tolist()) for name in ("inputs", "targets"))


@pytest.mark.parametrize(
    ("task", "dataset"),
    [
        ("synthesizer_wmt14_ende_v001", translation.WMT14[0]),
        ("wmt14_ende_v003", translation.WMT14[0]),
        ("synthesizer_multi30k_ende_v001", translation.MULTI30K[0]),
        ("synthesizer_wmt14_enfr_v001", translation.WMT14[1]),
        ("synthesizer_multi30k_enfr_v001", translation.MULTI30K[1]),
    ],
)
def test_translation(tmp_path, prepare, stock_tasks, task, dataset):
    for language, line in (("de", "Das ist gut."), ("fr", "C'est bon."), ("en", "That is good.")):
        write(tmp_path, f"train.{language}", line)
    [row] = rows(task, "train", prepare(dataset))
    language, text = ("German", "Das ist gut.") if "ende" in task else ("French", "C'est bon.")
    assert texts(row) == (f"translate English to {language}: That is good.", text)


def test_translation_metrics():
    task = seqio.get_mixture_or_task("synthesizer_wmt14_ende_v001")
    values = {}
    for metric in task.metric_fns:
        values |= metric(["Das ist wirklich gut ."], ["Das ist wirklich gut."])
    # sacreBLEU splits the full stop off, Moses too.
    assert values == pytest.approx({"bleu": 100, "tokenized_bleu": 100})


@pytest.mark.parametrize("task", ["synthesizer_cnn_dailymail_v001", "cnn_dailymail_v002"])
def test_summarization(tmp_path, prepare, stock_tasks, task):
    write(tmp_path, "test.csv", "article,highlights,id", 'It rained .,"Rain .', 'Wet .",7f')
    [row] = rows(task, "test", prepare(summarization.DATASETS[0]))
    assert texts(row) == ("summarize: It rained .", "Rain .\nWet .")


def test_summarization_metrics():
    task = seqio.get_mixture_or_task("synthesizer_cnn_dailymail_v001")
    [rouge] = task.metric_fns
    assert set(rouge(["a b"], ["a b"])) == {"rouge1", "rouge2", "rougeL", "rougeLsum"}


PERSONA_CHAT = (
    "1 your persona: i read .",
    "2 your persona: i swim .",
    "3 hello !\thi .",
    "4 how are you ?\tfine .",
)


def test_dialogue(tmp_path, prepare):
    write(tmp_path, "valid_self_original_no_cands.txt", *PERSONA_CHAT)
    folder = prepare(dialogue.PERSONACHAT)
    found = rows("synthesizer_personachat_v001", "validation", folder)
    by_turn = {tuple(row["idx"]): texts(row) for row in found}
    assert by_turn == {
        (1, 1): ("history: hello ! persona: i read . i swim .", "hi ."),
        (1, 2): (
            "history: hello ! | hi . | how are you ? persona: i read . i swim .",
            "fine .",
        ),
    }


def test_dialogue_is_cut_at_the_front(tmp_path, prepare):
    write(tmp_path, "valid_self_original_no_cands.txt", *PERSONA_CHAT)
    folder = prepare(dialogue.PERSONACHAT)
    lengths = {"inputs": 48, "targets": 512}
    found = rows("synthesizer_personachat_v001", "validation", folder, lengths)
    row = next(row for row in found if row["idx"][1] == 2)
    assert len(row["inputs"]) == 48
    assert texts(row)[0] == "hi . | how are you ? persona: i read . i swim ."


def test_small_dialogue_has_a_test_split(tmp_path, prepare):
    write(
        tmp_path,
        "valid_self_original_no_cands.txt",
        *(f"1 question {number}\treply" for number in range(1, 12)),
    )
    folder = prepare(dialogue.PERSONACHAT_SMALL)
    [row] = rows("synthesizer_personachat_small_v001", "test", folder)
    assert row["idx"].tolist() == [9, 1]


def test_lm1b_loses_nothing(tmp_path, prepare):
    sentences = ("The U.S. Centers for Disease Control", "On that issue")
    name = "training-monolingual.tokenized.shuffled/news.en-00001-of-00100"
    write(tmp_path, name, *sentences)
    folder = prepare(language_modeling.LM1B)
    found = rows("synthesizer_lm1b_v001", "train", folder, {"targets": 17})
    assert all(set(row) == {"targets", "words"} for row in found)
    # 36 letters and EOS in rows of 17, 17 and 3; 13 letters and EOS in a row.
    assert sorted(len(row["targets"]) for row in found) == [3, 14, 17, 17]
    tokens = [token for row in found for token in row["targets"].tolist()]
    ended = BYTES.decode([token for token in tokens if token != EOS])
    assert ended in ("".join(sentences), "".join(sentences[::-1]))
    # The words and an end for each sentence, counted where the sentence ends.
    assert {len(row["targets"]): row["words"] for row in found} == {3: 7, 14: 4, 17: 0}


WIKI = (" ", " = Robert <unk> = ", " ", " An actor . ", " ", " = Du Fu = ", " ", " A poet . ")


def test_wikitext_rows_are_running_text(tmp_path, prepare):
    write(tmp_path, "wiki.test.tokens", *WIKI)
    folder = prepare(language_modeling.WIKITEXT2)
    found = rows("synthesizer_wikitext2_v001", "test", folder, {"targets": 13})
    assert {len(row["targets"]) for row in found[:-1]} == {13}
    tokens = np.concatenate([row["targets"] for row in found])
    got = [
        BYTES.decode(part[:-1].tolist())
        for part in np.split(tokens, np.flatnonzero(tokens == EOS) + 1)[:-1]
    ]
    assert tuple(got) in (WIKI, WIKI[4:] + WIKI[:4])  # the order of the articles is a hash's
    # As the published counts: words with an end for each line.
    assert sum(row["words"] for row in found) == sum(len(line.split()) + 1 for line in WIKI)


def test_wikitext_rows_are_cut_elsewhere_in_each_epoch(tmp_path, prepare):
    write(tmp_path, "wiki.train.tokens", *WIKI[:4])
    folder = prepare(language_modeling.WIKITEXT2)
    options = {"num_epochs": None, "number": 12}
    found = rows("synthesizer_wikitext2_v001", "train", folder, {"targets": 13}, **options)
    assert {len(row["targets"]) for row in found} == {13}
    assert len({tuple(row["targets"]) for row in found}) > 6


def test_tiny_shakespeare_is_bytes_with_any_vocabulary(tmp_path, prepare, model_file):
    write(tmp_path, "input.txt", *(f"Line {number}:" for number in range(100)))
    [whole] = read(language_modeling.TINY_SHAKESPEARE, tmp_path)["test"]
    folder = prepare(language_modeling.TINY_SHAKESPEARE)
    vocabularies.choose(str(model_file))
    try:
        found = rows("synthesizer_tiny_shakespeare_v001", "test", folder, {"targets": 7})
    finally:
        vocabularies.choose(vocabularies.BYTES)
    tokens = np.concatenate([row["targets"] for row in found])
    assert BYTES.decode(tokens.tolist()) == whole["text"]
    assert [len(row["targets"]) for row in found] == [7] * (len(tokens) // 7) + [len(tokens) % 7]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Enough of C4's layout for statistics, prepared."""
    folder = tmp_path_factory.mktemp("c4")
    line = "Beginners BBQ Class Taking Place in Missoula! "
    write(
        folder,
        "c4-train.00000-of-01024.json.gz",
        *(json.dumps({"text": f"{number} {line * 30}", "url": ""}) for number in range(60)),
    )
    found = read(language_modeling.C4, folder)
    prepared.write(language_modeling.C4, found, folder)
    return folder


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


def test_span_corruption_of_t5_reads_the_same_pages(pages, stock_tasks):
    lengths = {"inputs": 128, "targets": 64}
    row = rows("c4_v220_span_corruption", "train", pages, lengths, number=1, seed=3)[0]
    assert len(row["inputs"]) == 128
    assert row["targets"][0] == BYTES.vocab_size - 1


@pytest.fixture(scope="module")
def stock_tasks():
    """T5's own tasks and what is made of them."""
    from mtf_synthesizer.tasks import t5_mixtures

    return t5_mixtures


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


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A small SentencePiece model."""
    sentences = ["the quick brown fox jumps over the lazy dog", "a good film, a bad film"] * 20
    path = tmp_path_factory.mktemp("vocabulary") / "small.model"
    path.write_bytes(sentence_pieces.train_sentencepiece(sentences, 33))
    return path


def write_reviews(folder):
    write(folder, "aclImdb/test/pos/0_9.txt", "a good film")
    write(folder, "aclImdb/test/neg/0_2.txt", "a bad film")
    write(folder, "aclImdb/train/unsup/0_0.txt", "a film")


@pytest.mark.parametrize("length", [5, 64])
@pytest.mark.parametrize("kind", ["bytes", "sentencepiece"])
def test_reviews_for_an_encoder(tmp_path, prepare, model_file, kind, length):
    write_reviews(tmp_path)
    vocabularies.choose(vocabularies.BYTES if kind == "bytes" else str(model_file))
    try:
        vocabulary = vocabularies.DEFAULT.chosen
        lengths = {"inputs": length, "targets": length}
        found = rows("synthesizer_imdb_v001", "test", prepare(classification.IMDB), lengths)
        ids = classification_tasks.class_ids(vocabulary, ("neg", "pos"))
        # The sentinels after the class token, from the end of the vocabulary.
        size = vocabulary.vocab_size
        assert ids == {"neg": size - 2, "pos": size - 3}
        assert len(found) == 2
        for row in found:
            label = row["targets_pretokenized"].decode()
            words = vocabulary.encode({"pos": "a good film", "neg": "a bad film"}[label])
            expected = [size - 1, *words][:length]
            assert row["inputs"].tolist() == expected
            assert row["targets"].tolist() == [ids[label]] + [0] * (len(expected) - 1)
    finally:
        vocabularies.choose(vocabularies.BYTES)


def test_news_for_an_encoder_and_in_words(tmp_path, prepare):
    write(tmp_path, "test.csv", '"4","Rocket","Up, up"')
    folder = prepare(classification.AG_NEWS)
    [row] = rows("synthesizer_ag_news_v001", "test", folder)
    assert BYTES.decode(row["inputs"][1:].tolist()) == "Rocket Up, up"
    assert row["targets"][0] == BYTES.vocab_size - 5
    assert row["targets_pretokenized"] == b"Sci/Tech"
    [row] = rows("synthesizer_ag_news_text_v001", "test", folder)
    assert texts(row) == ("ag news topic: Rocket Up, up", "Sci/Tech")


def test_reviews_in_words(tmp_path, prepare):
    write_reviews(tmp_path)
    found = rows("synthesizer_imdb_text_v001", "test", prepare(classification.IMDB))
    assert {texts(row) for row in found} == {
        ("imdb sentiment: a good film", "pos"),
        ("imdb sentiment: a bad film", "neg"),
    }


SIZE = BYTES.vocab_size


@pytest.mark.parametrize(
    ("output", "label"),
    [
        (SIZE - 3, "pos"),
        (np.int32(SIZE - 2), "neg"),
        (np.array([SIZE - 3, 7, 0]), "pos"),
        ([SIZE - 2, SIZE - 3], "neg"),
        ("<extra_id_2>", "pos"),
        (" <extra_id_1> a film", "neg"),
        ("pos", "pos"),  # as targets are given
        (SIZE - 1, ""),
        (SIZE - 4, ""),
        (7, ""),
        ("<extra_id_0>", ""),
        ("<extra_id_3>", ""),
        ("positive", ""),
    ],
)
def test_what_an_encoder_answers(output, label):
    task = seqio.get_mixture_or_task("synthesizer_imdb_v001")
    assert task.postprocess_fn(output, example={}, is_target=False) == label


def test_classes_need_sentinels():
    few = seqio.ByteVocabulary(2)
    with pytest.raises(ValueError, match="2 sentinels, but <extra_id_2>"):
        classification_tasks.class_ids(few, ("neg", "pos"))


def test_squad_and_pronouns_through_t5(tmp_path, prepare, stock_tasks):
    question = {"id": "a1", "question": "Who?", "answers": [{"text": "Jim", "answer_start": 0}]}
    paragraph = {"context": "Jim swam.", "qas": [question]}
    document = {"data": [{"title": "t", "paragraphs": [paragraph]}]}
    write(tmp_path, "dev-v1.1.json", json.dumps(document))
    [row] = rows("squad_v010_allanswers", "validation", prepare(questions.SQUAD))
    assert texts(row) == ("question: Who ? context: Jim swam . ", "Jim")
    assert row["answers"].tolist() == [b"Jim"]
    write(
        tmp_path,
        "train.c.txt",
        "The bee landed because it had pollen.",
        "it",
        "The bee,the flower",
        "The bee",
        "",
    )
    [row] = rows("dpr_v001_simple", "train", prepare(questions.DPR))
    assert texts(row) == ("wsc: The bee landed because *it* had pollen.", "The bee")


def test_en_mix_has_the_tasks_and_rates_of_t5(stock_tasks):
    theirs = dict(seqio.MixtureRegistry.get("en_mix").rate_per_task_name)
    # T5's final objective in place of one that is to be bound in gin.
    theirs["c4_v220_span_corruption"] = theirs.pop("c4_v020_unsupervised")
    for suffix, left_out in (
        ("", []),
        ("_no_squad", ["squad_v010_allanswers"]),
        ("_no_c4", ["c4_v220_span_corruption"]),
        ("_no_squad_no_c4", ["squad_v010_allanswers", "c4_v220_span_corruption"]),
    ):
        ours = seqio.MixtureRegistry.get(f"synthesizer_en_mix{suffix}_v001").rate_per_task_name
        assert ours == {name: rate for name, rate in theirs.items() if name not in left_out}


def test_t5_tasks_use_the_chosen_vocabulary(stock_tasks):
    task = seqio.get_mixture_or_task("glue_cola_v002")
    assert task.output_features["inputs"].vocabulary is vocabularies.DEFAULT
