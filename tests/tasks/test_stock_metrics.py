"""T5's metrics of GLUE and SuperGLUE against their definitions, written out in NumPy.

And what takes the place of those that are replaced.
"""

import collections
import gzip
import json
import re
import string

import mtf_synthesizer.runtime.compat

import hypothesis
import numpy as np
import pytest
import seqio
from hypothesis import strategies as st
from t5.data import glue_utils, postprocessors
from t5.evaluation import metrics as t5_metrics

from mtf_synthesizer.tasks import metrics, text_metrics

INVALID = -1  # what T5 makes of text that is no label


def labels(classes, invalid=False):
    """Lists of (target, prediction)."""
    predictions = st.integers(INVALID if invalid else 0, classes - 1)
    return st.lists(st.tuples(st.integers(0, classes - 1), predictions), min_size=1, max_size=30)


def sides(examples):
    return [np.array(side) for side in zip(*examples, strict=True)]


def glue(task, targets, predictions):
    return values(glue_utils.get_glue_metric(task), targets, predictions)


def super_glue(task, targets, predictions):
    return values(glue_utils.get_super_glue_metric(task), targets, predictions)


def values(functions, targets, predictions):
    found = {}
    for function in functions:
        found |= function(list(targets), list(predictions))
    return found


def f1(targets, predictions, label=1):
    """In per cent; an invalid prediction is the wrong label where there are two of them."""
    hits = np.sum((targets == label) & (predictions == label))
    predicted, there = np.sum(predictions == label), np.sum(targets == label)
    return 200 * hits / (predicted + there) if predicted + there else 0


@hypothesis.given(labels(2))
def test_matthews(examples):
    targets, predictions = sides(examples)
    table = np.zeros([2, 2])
    np.add.at(table, (targets, predictions), 1)
    (tn, fp), (fn, tp) = table
    norm = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    expected = 100 * (tp * tn - fp * fn) / norm if norm else 0
    assert glue("cola", targets, predictions) == pytest.approx({"matthews_corrcoef": expected})


@pytest.mark.parametrize("answer", [0, 1, INVALID])
def test_matthews_of_a_constant_answer_is_nothing(answer):
    assert glue("cola", [0, 1, 1], [answer] * 3) == {"matthews_corrcoef": 0}


@hypothesis.given(labels(2, invalid=True))
def test_f1_and_accuracy(examples):
    targets, predictions = sides(examples)
    decided = np.where(predictions == INVALID, 1 - targets, predictions)
    expected = {"f1": f1(targets, decided), "accuracy": 100 * np.mean(targets == predictions)}
    for task in ("mrpc", "qqp"):
        assert glue(task, targets, predictions) == pytest.approx(expected)


@hypothesis.given(labels(3, invalid=True))
def test_cb(examples):
    """The mean of the classes' F1; a class that neither side has counts 0, as in SuperGLUE's."""
    targets, predictions = sides(examples)
    expected = {
        "mean_3class_f1": np.mean([f1(targets, predictions, label) for label in range(3)]),
        "accuracy": 100 * np.mean(targets == predictions),
    }
    assert super_glue("cb", targets, predictions) == pytest.approx(expected)


def test_majority_of_mrpc(shared_data):
    """What every paper has whose model answered "equivalent" to all of the development set."""
    with gzip.open(shared_data / "glue/MRPC/dev.tsv.gz", "rt", encoding="utf-8-sig") as file:
        targets = [int(line.split("\t")[0]) for line in list(file)[1:]]
    found = glue("mrpc", targets, [1] * len(targets))
    assert found == pytest.approx({"accuracy": 68.38, "f1": 81.22}, abs=0.005)


# MultiRC -----------------------------------------------------------------------------------------


def multirc_sides(questions):
    """Per answer, as T5's postprocessor makes them: only targets know their question."""
    targets = [
        {"value": target, "group": group}
        for group, answers in questions.items()
        for target, _ in answers
    ]
    predictions = [
        {"value": prediction} for answers in questions.values() for _, prediction in answers
    ]
    return targets, predictions


def multirc_by_hand(questions):
    pairs = [pair for answers in questions.values() for pair in answers]
    targets, predictions = sides(pairs)
    decided = np.where(predictions == INVALID, 1 - targets, predictions)
    exact = [all(target == found for target, found in each) for each in questions.values()]
    return {"f1": f1(targets, decided), "exact_match": 100 * np.mean(exact)}


@hypothesis.given(st.lists(labels(2, invalid=True), min_size=1, max_size=7))
def test_multirc(answers):
    questions = dict(enumerate(answers))
    found = super_glue("multirc", *multirc_sides(questions))
    assert found == pytest.approx(multirc_by_hand(questions))


def test_multirc_groups_real_answers_by_question(shared_data):
    """T5 groups by idx/question alone, so that number must not begin anew in a passage."""
    questions = collections.defaultdict(list)
    seen = set()
    with gzip.open(shared_data / "superglue/MultiRC/val.jsonl.gz", "rt") as file:
        for number, line in enumerate(file):
            for question in json.loads(line)["passage"]["questions"]:
                assert question["idx"] not in seen
                seen.add(question["idx"])
                for answer in question["answers"]:
                    guess = (number * 7 + answer["idx"] * 5) % 3 % 2
                    example = {"idx/question": question["idx"]}
                    text = ("False", "True")[answer["label"]]
                    target = postprocessors.multirc(text, example=example, is_target=True)
                    questions[target["group"]].append((target["value"], guess))
    assert (len(questions), sum(map(len, questions.values()))) == (953, 4848)
    found = super_glue("multirc", *multirc_sides(questions))
    assert found == pytest.approx(multirc_by_hand(questions))
    assert 0 < found["exact_match"] < found["f1"] < 100


# ReCoRD ------------------------------------------------------------------------------------------


def normalized(text):
    """As SQuAD's evaluation script, which ReCoRD's is made of."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def overlap(target, prediction):
    common = sum((collections.Counter(target) & collections.Counter(prediction)).values())
    return 2 * common / (len(target) + len(prediction)) if common else 0


def test_record():
    queries = {
        (0, 0): (["The U.S. Army", "Army"], "u.s. army"),
        (0, 1): (["John Smith"], "Smith, John A"),
        (1, 2): (["Paris"], "London"),
        (1, 3): (["Rome"], ""),
    }
    expected = collections.defaultdict(list)
    for answers, prediction in queries.values():
        tokens = [
            (normalized(answer).split(), normalized(prediction).split()) for answer in answers
        ]
        expected["em"].append(100 * max(target == found for target, found in tokens))
        expected["f1"].append(100 * max(overlap(target, found) for target, found in tokens))
    # T5 has an example for each answer of a query; the query counts once, and by all its answers.
    doubled = [each for each in queries.items() for _ in each[1][0]]
    found = super_glue(
        "record",
        [{"value": answers, "group": group} for group, (answers, _) in doubled],
        [{"value": prediction} for _, (_, prediction) in doubled],
    )
    assert found == pytest.approx({name: np.mean(each) for name, each in expected.items()})
    assert found["em"] == 25
    # All of the first; both of John Smith's names, and nothing else; nothing of the others.
    assert found["f1"] == pytest.approx((100 + 100 + 0 + 0) / 4)


# What is replaced --------------------------------------------------------------------------------


def task(name, functions):
    source = seqio.FunctionDataSource(lambda split, shuffle_files: None, splits=["train"])
    features = {"targets": seqio.Feature(seqio.ByteVocabulary())}
    return seqio.Task(name, source, features, metric_fns=functions)


def test_metrics_that_are_replaced():
    functions = [t5_metrics.bleu, t5_metrics.rouge, metrics.accuracy]
    expected = [text_metrics.international_bleu, text_metrics.rouge, metrics.accuracy]
    assert metrics.of(task("wmt14_ende_v003", functions)) == expected
    correlations = glue_utils.get_glue_metric("stsb")
    assert metrics.of(task("glue_stsb_v002", correlations)) == [
        metrics.similarity_pearson,
        metrics.similarity_spearman,
    ]
    # Of another range, perhaps.
    assert metrics.of(task("someones_own_v001", correlations)) == correlations


def test_metrics_of_scores_are_not_of_text():
    def of_scores(targets, scores):
        return {"rank": 1.0}

    assert metrics.of(task("choices", [of_scores, metrics.accuracy])) == [metrics.accuracy]


@pytest.mark.parametrize("function", [text_metrics.international_bleu, text_metrics.rouge])
def test_replacements_agree_with_t5(function):
    targets = ["the dog - it bit the man .", "it was » not « unexpected . so ."] * 20
    predictions = ["the dog , it bit a man .", "it was » not « so unexpected ."] * 20
    old = {text_metrics.international_bleu: t5_metrics.bleu, text_metrics.rouge: t5_metrics.rouge}
    expected, found = old[function](targets, predictions), function(targets, predictions)
    # T5's ROUGE is the median of random resamplings.
    tolerance = 1e-9 if function is text_metrics.international_bleu else 1.0
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=tolerance)


def test_replaced_correlations_agree_with_t5_within_the_range():
    targets, predictions = [0.0, 1.2, 3.4, 5.0], [0.2, 2.4, 2.0, 5.0]
    ours = metrics.similarity_pearson(targets, predictions)
    assert ours == pytest.approx(t5_metrics.pearson_corrcoef(targets, predictions))
    ours = metrics.similarity_spearman(targets, predictions)
    assert ours == pytest.approx(t5_metrics.spearman_corrcoef(targets, predictions))
