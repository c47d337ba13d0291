"""Differences of rows: bootstrap, Welch's test, Holm's correction, and seeds that would do."""

import json

import numpy as np
import pytest
import scipy.stats

from mtf_synthesizer.studies.compare import evidence, significance
from mtf_synthesizer.studies.compare.evidence import Difference
from mtf_synthesizer.tasks.text_metrics import Bleu

DRAW = np.random.RandomState(0)
TASK = "synthesizer_testament_v001"


def difference(**changes):
    fields = {"mean": 1.0, "spread": 1.0, "low": None, "high": None, "of_examples": None}
    return Difference("r", "bleu", **{**fields, "of_seeds": None, **changes})


def test_welch_over_seeds():
    first, other = [1.0, 2.0, 3.0], [4.0, 4.5, 6.0]
    spread, p = evidence.over_seeds(first, other)
    assert p == scipy.stats.ttest_ind(other, first, equal_var=False).pvalue
    np.testing.assert_allclose(spread, np.sqrt((1 + np.var(other, ddof=1)) / 2))
    assert evidence.over_seeds([1.0], other) == (None, None)
    assert evidence.over_seeds([1.0, 1.0], [1.0, 1.0]) == (0.0, None)


def test_the_bootstrap_is_paired():
    """A small gain on every example is certain, although examples differ far more."""
    hard = DRAW.normal(size=200)

    def better(examples):
        return float((hard[examples] + 0.01).mean())

    def equal(examples):
        return float(hard[examples].mean())

    low, high, p = evidence.over_examples(equal, better, 200, True)
    np.testing.assert_allclose([low, high], 0.01)
    assert p < 0.002
    assert evidence.over_examples(equal, equal, 200, True)[2] == 1.0


def test_bootstrap_p_is_near_that_of_a_sign_like_test():
    gains = np.where(np.arange(100) < 60, 1.0, -1.0)
    *_, p = evidence.over_examples(lambda _: 0.0, lambda e: float(gains[e].mean()), 100, True)
    np.testing.assert_allclose(p, 2 * scipy.stats.norm.sf(0.2 / np.sqrt(0.96 / 100)), atol=0.02)


def test_holm():
    """0.01 * 3, then 0.02 * 2, then 0.04 * 1 but not below the one before."""
    found = evidence.corrected(
        [difference(of_seeds=p) for p in (0.04, 0.01, 0.02)] + [difference(mean=0.0)]
    )
    np.testing.assert_allclose([each.corrected for each in found[:3]], [0.04, 0.03, 0.04])
    assert found[3].corrected is None and found[3].seeds is None
    larger = evidence.corrected([difference(of_seeds=0.01, of_examples=0.3)])
    assert larger[0].corrected == 0.3


@pytest.mark.parametrize(("mean", "seeds"), [(1.0, 16), (0.5, 63), (9.0, 2)])
def test_seeds_by_the_textbook(mean, seeds):
    """Two groups, a two-sided level of 0.05 and a power of 0.8: 2 (1.96 + 0.84)^2 s^2 / d^2."""
    assert evidence.corrected([difference(mean=mean)])[0].seeds == seeds


def test_predictions_of_two_rows(tmp_path):
    """Accuracy is a mean over examples; the difference and its interval are those of the files."""
    right = {"v": np.arange(50) % 2 == 0, "r": np.arange(50) % 5 != 0}
    for row, good in right.items():
        (tmp_path / row).mkdir()
        records = [
            {
                "task": "synthesizer_testament_v001",
                "split": "test",
                "output": "old" if g else "x",
                "target": "old",
                "prediction": "old" if g else "x",
            }
            for g in good
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (tmp_path / row / significance.PREDICTIONS).write_text(lines)
    rows = {
        row: {"metrics": {"accuracy": {"values": [100 * float(good.mean())]}}}
        for row, good in right.items()
    }
    import mtf_synthesizer.tasks

    (found,) = significance.differences(rows, {row: [tmp_path / row] for row in right})
    assert (found.row, found.metric, found.mean) == ("r", "accuracy", 30.0)
    assert found.low < 30 < found.high and found.of_examples < 0.01 and found.of_seeds is None
    assert "| r | accuracy | +30.000 |" in significance.table([found], "v")


def test_bleu_of_counts_is_the_bleu_of_the_examples():
    words = ["the cat sat on the mat today", "a dog ran in the park", "so it goes on and on again"]
    predictions = ["the cat sat on a mat today", "a dog ran in the big park", "so it goes on again"]
    bleu = Bleu()
    counts = bleu.counts(words, predictions)
    for chosen in ([0, 1, 2], [1, 1, 0], [2, 0, 0, 0]):
        whole = bleu([words[i] for i in chosen], [predictions[i] for i in chosen])["bleu"]
        np.testing.assert_allclose(bleu.of_counts(counts[chosen].sum(0)), whole)
