"""From targets and predictions, or a loss, to values and notes."""

import math
import warnings

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import seqio

from mtf_synthesizer.inference import scoring
from mtf_synthesizer.tasks import metrics, text_metrics
from mtf_synthesizer.tasks.left_out import leave_out


def test_metrics_and_signatures():
    scores = scoring.of_predictions(
        [metrics.accuracy, text_metrics.bleu], ["a b c d", "e"], ["a b c d", "f"]
    )
    assert list(scores.metrics) == ["accuracy", "bleu"]
    assert scores.metrics["accuracy"] == 50
    assert scores.signatures == {"bleu": text_metrics.bleu.signature()}
    assert scores.notes == []


def test_what_cannot_be_computed_is_noted():
    def left_out(targets, predictions):
        return leave_out("it needs a moon")

    def undefined(targets, predictions):
        warnings.warn("0 / 0", RuntimeWarning, stacklevel=1)
        return {"slope": float("nan"), "offset": np.float32(2)}

    scores = scoring.of_predictions([left_out, undefined, metrics.accuracy], [1], [1])
    assert scores.metrics == {"offset": 2.0, "accuracy": 100.0}
    assert sorted(scores.notes) == [
        "it needs a moon",
        "slope is undefined for these predictions",
    ]


@pytest.mark.parametrize(
    "targets",
    [[], [-1, -1], [-1.0], [np.int64(-1)], [""], [{"value": -1, "group": 3}], [{"value": []}]],
)
def test_a_split_without_labels_has_no_metrics(targets):
    scores = scoring.of_predictions([metrics.accuracy], targets, targets)
    assert scores.metrics == {}
    assert scores.notes == ["the split has no labels to compare with"]


@pytest.mark.parametrize("targets", [[-1, 0], [0.0], ["", "a"], [{"value": 0}], [False]])
def test_a_split_with_labels_has(targets):
    scores = scoring.of_predictions([metrics.accuracy], targets, targets)
    assert scores.metrics == {"accuracy": 100}


def language(vocabulary, *features):
    output_features = {name: seqio.Feature(vocabulary) for name in features}
    source = seqio.FunctionDataSource(lambda split, shuffle_files: None, splits=["train"])
    return seqio.Task("synthesizer_test_language", source, output_features)


def test_perplexities():
    bytes_ = seqio.ByteVocabulary()
    rows = [
        {"targets": np.array([*bytes_.encode("ab c"), 1]), "words": np.int32(3)},
        {"targets": np.array([*bytes_.encode("d"), 1]), "words": np.int32(2)},
    ]
    found = scoring.of_language(2.0, 7, rows, language(bytes_, "targets"))
    assert found == pytest.approx(
        {
            "log_perplexity": 2.0,
            "perplexity": math.exp(2),
            "word_perplexity": math.exp(2 * 7 / 5),
            "bits_per_byte": 2 * 7 / math.log(2) / 5,
        }
    )


def test_perplexities_that_are_not_defined_are_not_there():
    rows = [{"targets": np.array([5, 7, 1])}]
    for task in (
        language(seqio.ByteVocabulary(), "inputs", "targets"),
        language(seqio.PassThroughVocabulary(11), "targets"),
    ):
        assert set(scoring.of_language(2.0, 3, rows, task)) == {"log_perplexity", "perplexity"}


def test_a_perplexity_beyond_all_numbers_is_still_one():
    found = scoring.of_language(1e6, 1, [{}], language(seqio.PassThroughVocabulary(3), "targets"))
    assert math.isfinite(found["perplexity"])
