"""Rows with several seeds, side by side: trained, evaluated, resumed and described."""

import dataclasses
import json
import statistics

import pytest
from small_runs import SMALLEST

from mtf_synthesizer import errors
from mtf_synthesizer.data import prepare
from mtf_synthesizer.inference import evaluate
from mtf_synthesizer.studies.compare import compare, plan
from mtf_synthesizer.studies.compare.plan import ComparisonPlan
from mtf_synthesizer.training import train

TEXT = "\n".join(f"{name}: line {i} of the play\n" for i in range(70) for name in ("A", "Bo"))
SIZES = [p for p in SMALLEST if "length" not in p and "save" not in p]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "input.txt").write_text(TEXT)
    prepare.run("tiny_shakespeare", folder, folder / "tfds", allow_partial=True)
    return ComparisonPlan(
        experiment="tiny_shakespeare",
        rows=("r", "v"),
        seeds=(3, 5),
        steps=10,
        split="validation",  # whose scores are a step of their own beside the fall on it
        tfds_data_dir=str(folder / "tfds"),
        gin_params=(
            *SIZES,
            "save_checkpoints_steps = 4",
            "batch_size = 3",
            "learning_rate_schedules.linear_warmup.steps_or_fraction = 1.5",
            "learning_rate_schedules.linear_decay.steps_or_fraction = 1.5",
        ),
    )


@pytest.fixture(scope="module")
def compared(wanted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    return folder, compare.compare(folder, wanted)


def test_each_row_has_mean_and_spread_of_its_runs(compared):
    folder, summary = compared
    assert json.loads((folder / "results.json").read_text()) == summary
    assert list(summary["rows"]) == ["r", "v"]
    for row, found in summary["rows"].items():
        values = []
        for seed in (3, 5):
            report = evaluate.evaluate(
                folder / f"{row}_seed{seed}",
                "synthesizer_tiny_shakespeare_v001",
                split="validation",
                tfds_data_dir=_data(folder),
            )
            values.append(report["results"][0]["metrics"]["perplexity"])
        assert found["metrics"]["perplexity"]["values"] == pytest.approx(values)
        assert found["metrics"]["perplexity"]["mean"] == pytest.approx(sum(values) / 2)
        assert found["metrics"]["perplexity"]["spread"] == pytest.approx(statistics.stdev(values))
        assert values[0] != values[1]


def _data(folder):
    return json.loads((folder / "settings.json").read_text())["tfds_data_dir"]


def test_what_is_finished_is_not_done_again(compared, wanted, monkeypatch):
    folder, summary = compared
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained again"))
    assert compare.compare(folder, wanted) == summary


def test_a_run_that_was_cut_short_is_undertrained(compared):
    _, summary = compared
    # Ten steps at a high learning rate: the loss falls by more than a hundredth from 8 to 10.
    assert [row["undertrained"] for row in summary["rows"].values()] == [2, 2]


def test_other_settings_are_refused(compared, wanted):
    with pytest.raises(errors.UserError, match="another steps"):
        compare.compare(compared[0], dataclasses.replace(wanted, steps=11))


def test_mistakes_come_before_the_first_training(wanted, tmp_path):
    with pytest.raises(errors.UserError, match="unknown synthesizer 'vr'"):
        compare.compare(tmp_path, dataclasses.replace(wanted, rows=("r", "vr")))
    assert not list(tmp_path.iterdir())


def test_models_to_start_from(compared, wanted):
    later = dataclasses.replace(wanted, init_from=str(compared[0]))
    plan.check(later)
    assert plan.request(later, "v", 5).init_checkpoint == compared[0] / "v_seed5"
    with pytest.raises(errors.UserError, match="no model of row r and seed 4"):
        plan.check(dataclasses.replace(later, seeds=(3, 4)))


def test_the_paper_stands_beside(compared):
    table = compare.describe(compared[1]).splitlines()
    assert "paper's table2_lm1b: perplexity" in table[0]
    assert table[2].startswith("| r | ") and "| 40.6 | 2 of 2 |" in table[2]
    assert "±" in table[2]
