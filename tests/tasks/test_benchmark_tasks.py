"""Tasks on published data: from small official files, prepared, to the rows a model is given."""

import json

import numpy as np
import pytest
import seqio
from small_files import read, write
from task_rows import BYTES, EOS, prepare, rows, small_model, texts

import mtf_synthesizer.tasks
from mtf_synthesizer.data import dialogue, language_modeling, questions, summarization, translation
from mtf_synthesizer.upstream import vocabulary

pytestmark = pytest.mark.usefixtures("eager", "byte_vocabulary")


@pytest.fixture(scope="module")
def byte_vocabulary():
    vocabulary.choose(vocabulary.BYTES)
    yield
    vocabulary.choose(None)


@pytest.fixture(scope="module")
def stock_tasks():
    """T5's own tasks and what is made of them."""
    from mtf_synthesizer.tasks import t5_mixtures as tasks_t5_mixtures

    return tasks_t5_mixtures


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
def test_translation(tmp_path, stock_tasks, task, dataset):
    for language, line in (("de", "Das ist gut."), ("fr", "C'est bon."), ("en", "That is good.")):
        write(tmp_path, f"train.{language}", line)
    [row] = rows(task, "train", prepare(dataset, tmp_path))
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
def test_summarization(tmp_path, stock_tasks, task):
    write(tmp_path, "test.csv", "article,highlights,id", 'It rained .,"Rain .', 'Wet .",7f')
    [row] = rows(task, "test", prepare(summarization.DATASETS[0], tmp_path))
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


def test_dialogue(tmp_path):
    write(tmp_path, "valid_self_original_no_cands.txt", *PERSONA_CHAT)
    folder = prepare(dialogue.PERSONACHAT, tmp_path)
    found = rows("synthesizer_personachat_v001", "validation", folder)
    by_turn = {tuple(row["idx"]): texts(row) for row in found}
    assert by_turn == {
        (1, 1): ("history: hello ! persona: i read . i swim .", "hi ."),
        (1, 2): (
            "history: hello ! | hi . | how are you ? persona: i read . i swim .",
            "fine .",
        ),
    }


def test_dialogue_is_cut_at_the_front(tmp_path):
    write(tmp_path, "valid_self_original_no_cands.txt", *PERSONA_CHAT)
    folder = prepare(dialogue.PERSONACHAT, tmp_path)
    lengths = {"inputs": 48, "targets": 512}
    found = rows("synthesizer_personachat_v001", "validation", folder, lengths)
    row = next(row for row in found if row["idx"][1] == 2)
    assert len(row["inputs"]) == 48
    assert texts(row)[0] == "hi . | how are you ? persona: i read . i swim ."


def test_small_dialogue_has_a_test_split(tmp_path):
    write(
        tmp_path,
        "valid_self_original_no_cands.txt",
        *(f"1 question {number}\treply" for number in range(1, 12)),
    )
    folder = prepare(dialogue.PERSONACHAT_SMALL, tmp_path)
    [row] = rows("synthesizer_personachat_small_v001", "test", folder)
    assert row["idx"].tolist() == [9, 1]


def test_lm1b_loses_nothing(tmp_path):
    sentences = ("The U.S. Centers for Disease Control", "On that issue")
    name = "training-monolingual.tokenized.shuffled/news.en-00001-of-00100"
    write(tmp_path, name, *sentences)
    folder = prepare(language_modeling.LM1B, tmp_path)
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


def test_wikitext_rows_are_running_text(tmp_path):
    write(tmp_path, "wiki.test.tokens", *WIKI)
    folder = prepare(language_modeling.WIKITEXT2, tmp_path)
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


def test_wikitext_rows_are_cut_elsewhere_in_each_epoch(tmp_path):
    write(tmp_path, "wiki.train.tokens", *WIKI[:4])
    folder = prepare(language_modeling.WIKITEXT2, tmp_path)
    options = {"num_epochs": None, "number": 12}
    found = rows("synthesizer_wikitext2_v001", "train", folder, {"targets": 13}, **options)
    assert {len(row["targets"]) for row in found} == {13}
    assert len({tuple(row["targets"]) for row in found}) > 6


def test_tiny_shakespeare_is_bytes_with_any_vocabulary(tmp_path):
    write(tmp_path, "input.txt", *(f"Line {number}:" for number in range(100)))
    [whole] = read(language_modeling.TINY_SHAKESPEARE, tmp_path)["test"]
    folder = prepare(language_modeling.TINY_SHAKESPEARE, tmp_path)
    vocabulary.choose(str(small_model(tmp_path)))
    try:
        found = rows("synthesizer_tiny_shakespeare_v001", "test", folder, {"targets": 7})
    finally:
        vocabulary.choose(vocabulary.BYTES)
    tokens = np.concatenate([row["targets"] for row in found])
    assert BYTES.decode(tokens.tolist()) == whole["text"]
    assert [len(row["targets"]) for row in found] == [7] * (len(tokens) // 7) + [len(tokens) % 7]


def test_span_corruption_of_t5(tmp_path, stock_tasks):
    write(
        tmp_path,
        "c4-train.00000-of-01024.json",
        json.dumps({"text": "Beginners BBQ Class " * 30, "timestamp": "", "url": ""}),
    )
    folder = prepare(language_modeling.C4, tmp_path)
    lengths = {"inputs": 128, "targets": 64}
    row = rows("c4_v220_span_corruption", "train", folder, lengths, number=1, seed=3)[0]
    assert len(row["inputs"]) == 128
    assert row["targets"][0] == BYTES.vocab_size - 1


def test_squad_and_pronouns_through_t5(tmp_path, stock_tasks):
    question = {"id": "a1", "question": "Who?", "answers": [{"text": "Jim", "answer_start": 0}]}
    paragraph = {"context": "Jim swam.", "qas": [question]}
    document = {"data": [{"title": "t", "paragraphs": [paragraph]}]}
    write(tmp_path, "dev-v1.1.json", json.dumps(document))
    [row] = rows("squad_v010_allanswers", "validation", prepare(questions.SQUAD, tmp_path))
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
    [row] = rows("dpr_v001_simple", "train", prepare(questions.DPR, tmp_path))
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
    assert task.output_features["inputs"].vocabulary is vocabulary.DEFAULT
