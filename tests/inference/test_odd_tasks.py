"""Evaluation and prediction of tasks as people write them."""

import json

import mtf_synthesizer.runtime.compat

import calls
import pytest
from odd_tasks import ALL, ARRAYS, DEV, FAILING, METRICS, SCORES, TOKENIZED
from runner_tasks import WORDS
from small_runs import train

from mtf_synthesizer import errors

pytestmark = pytest.mark.slow

MODULES = ("odd_tasks",)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "r"
    train(folder, synthesizer="r", steps=1)
    return folder


@pytest.fixture(scope="module")
def rows(model):
    report = calls.evaluate(model, ALL, modules=MODULES, batch_size=3)
    assert not report["left_out"]
    return {row["task"]: row for row in report["results"]}


def test_metrics_of_all_kinds_are_numbers_or_notes(rows):
    row = rows[METRICS]
    assert row["metrics"] == {"scalar": 2.5, "one": 1.0, "count": 5.0}
    notes = "\n".join(row["notes"])
    for name, kind in (("text", "Text"), ("histogram", "Histogram"), ("array", "ndarray")):
        assert f"{name} of the metric of_kinds is {kind}, not a number" in notes
    assert "nothing of the metric of_kinds is NoneType, not a number" in notes
    assert "the metric of_none returns NoneType, not a dictionary of numbers" in notes
    assert "the metric with_key_error fails: KeyError: 'absent' (" in notes
    assert "the metric with_value_error fails: ValueError: a bare sentence (" in notes
    assert "odd_tasks.py:" in notes


def test_postprocessors_may_return_arrays(rows, model, tmp_path):
    assert rows[ARRAYS]["metrics"] == {"same_letters": 0.0}
    assert rows[ARRAYS]["notes"] == []
    output = tmp_path / "arrays.jsonl"
    calls.predict(model, ARRAYS, split="validation", output=output, modules=MODULES)
    found = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["target"] for row in found] == [[*map(ord, word)] for word in WORDS]


def test_scores_and_metric_objects_are_reported(rows):
    row = rows[SCORES]
    nats = -row["loss"] * row["tokens"] / 5
    assert row["metrics"]["mean_score"] == pytest.approx(nats, rel=1e-4)
    assert row["metrics"]["first_target"] == len(WORDS[0])
    assert row["metrics"]["lowest"] < nats
    assert (row["metrics"]["hits"], row["metrics"]["of"]) == (0, 5)
    assert row["notes"] == ["the metric with_aux needs values that Mesh's models don't compute"]


def test_tokens_without_text_have_labels(rows, model, tmp_path):
    assert rows[TOKENIZED]["metrics"] == {"accuracy": 0.0}
    assert rows[TOKENIZED]["notes"] == []
    for split, targets in (("validation", list(WORDS)), ("test", [""] * 5)):
        output = tmp_path / f"{split}.jsonl"
        calls.predict(model, TOKENIZED, split=split, output=output, modules=MODULES)
        found = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
        assert [row["target"] for row in found] == targets
    (row,) = calls.evaluate(model, TOKENIZED, split="test", modules=MODULES)["results"]
    assert row["notes"] == ["the split has no labels to compare with"]


def test_a_postprocessor_that_fails_keeps_the_text(rows, model, tmp_path, capsys):
    (note,) = rows[FAILING]["notes"]
    assert note.startswith("the postprocessor fails on the output ")
    assert "ValueError: invalid literal for int()" in note
    output = tmp_path / "failing.jsonl"
    calls.predict(model, FAILING, split="validation", output=output, modules=MODULES)
    found = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["prediction"] for row in found] == [None] * 5
    assert all(isinstance(row["output"], str) for row in found)
    assert f"{FAILING}: the postprocessor fails" in capsys.readouterr().err


def test_a_split_called_dev_has_a_best_step(model):
    with pytest.raises(errors.UserError, match=r"'validation'\. Known: dev, train"):
        calls.evaluate(model, DEV, modules=MODULES)
    report = calls.evaluate(
        model, DEV, split="dev", checkpoints="all", modules=MODULES, teacher_forced=False
    )
    assert [row["step"] for row in report["results"]] == [0, 1]
    best = calls.evaluate(
        model, DEV, split="train", checkpoints="best", modules=MODULES, decode=False
    )
    assert [row["step"] for row in best["results"]] == [report["best"][0]["step"]]
