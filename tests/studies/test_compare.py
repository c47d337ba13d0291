"""Rows with several seeds, side by side: trained, evaluated, resumed and described."""

import dataclasses
import json
import statistics

import calls
import checkpoint_files
import pytest
from small_runs import SMALLEST

from mtf_synthesizer import errors
from mtf_synthesizer.data import prepare
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.inference import evaluate
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies.compare import checks, compare, plan
from mtf_synthesizer.studies.compare.plan import ComparisonPlan
from mtf_synthesizer.studies.steps import check_settings
from mtf_synthesizer.tasks import dialogue_metrics
from mtf_synthesizer.training import run_record, train

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


@pytest.mark.slow
def test_each_row_has_mean_and_spread_of_its_runs(compared):
    folder, summary = compared
    assert json.loads((folder / "results.json").read_text()) == summary
    assert list(summary["rows"]) == ["r", "v"]
    for row, found in summary["rows"].items():
        values = []
        for seed in (3, 5):
            report = calls.evaluate(
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
        assert found["matmul_precision"] == ["float32"]  # in which all tests run


def _data(folder):
    return json.loads((folder / "settings.json").read_text())["tfds_data_dir"]


@pytest.mark.slow
def test_what_is_finished_is_not_done_again(compared, wanted, monkeypatch):
    folder, summary = compared
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained again"))
    assert compare.compare(folder, wanted) == summary


@pytest.mark.slow
def test_rows_and_seeds_of_earlier_commands_stay_in_the_results(compared, wanted, monkeypatch):
    folder, summary = compared
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained again"))
    fewer = compare.compare(folder, dataclasses.replace(wanted, rows=("v",), seeds=(5,)))
    assert list(fewer["rows"]) == ["v", "r"]
    assert fewer["rows"] == summary["rows"]
    assert compare.compare(folder, wanted) == summary


@pytest.mark.slow
def test_a_run_that_was_cut_short_is_undertrained(compared):
    _, summary = compared
    # Ten steps at a high learning rate: the loss falls by more than a hundredth from 8 to 10.
    assert [row["undertrained"] for row in summary["rows"].values()] == [2, 2]


@pytest.mark.slow
def test_other_settings_are_refused(compared, wanted):
    with pytest.raises(errors.UserError, match="another steps"):
        compare.compare(compared[0], dataclasses.replace(wanted, steps=11))


def test_mistakes_come_before_the_first_training(wanted, tmp_path):
    with pytest.raises(errors.UserError, match="unknown synthesizer 'vr'"):
        compare.compare(tmp_path, dataclasses.replace(wanted, rows=("r", "vr")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["split", "validation_split"])
def test_splits_are_checked_before_the_first_training(field, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(errors.UserError, match=f"--{field} dev: .*split"):
        compare.compare(tmp_path, dataclasses.replace(wanted, **{field: "dev"}))
    assert not list(tmp_path.iterdir())


def test_a_row_that_can_not_be_built_is_refused_before_the_first_training(
    wanted, tmp_path, monkeypatch
):
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(errors.UserError, match=r"--rows linformer: .*decoder"):
        compare.compare(tmp_path, dataclasses.replace(wanted, rows=("r", "linformer")))
    assert not list(tmp_path.iterdir())


def test_metrics_that_will_be_left_out(monkeypatch, capsys):
    monkeypatch.setattr(dialogue_metrics.shutil, "which", lambda name: None)
    monkeypatch.setattr(dialogue_metrics, "_scorer", lambda *_: object())
    checks._check_metrics("synthesizer_personachat_v001")
    assert "METEOR needs a Java runtime" in capsys.readouterr().err
    monkeypatch.setattr(dialogue_metrics, "_scorer", lambda *_: None)
    with pytest.raises(errors.UserError, match=r"pip install 'mtf_synthesizer\[dialogue\]'"):
        checks._check_metrics("synthesizer_personachat_v001")


def test_the_gin_files_of_the_evaluation_are_checked_first(wanted, tmp_path):
    mine = tmp_path / "mine.gin"
    mine.write_text("Bitransformer.decode.beam_size = 4\nBitransformer.beam = 4\n")
    with pytest.raises(errors.UserError, match=r"mine\.gin"):
        plan.check(dataclasses.replace(wanted, evaluation_gin_files=[str(mine)]))


def test_what_only_the_evaluation_reads_may_be_corrected_before_it(wanted, tmp_path):
    corrected = dataclasses.replace(wanted, split="test", validation_split="test")
    steps = tmp_path / "steps"

    def check(changed):
        check_settings(tmp_path, plan.settings(changed), plan.free_settings(tmp_path))

    check(wanted)
    saving.write_json(steps / "r_seed3_train.json", {})
    check(corrected)
    with pytest.raises(errors.UserError, match="another steps"):
        check(dataclasses.replace(corrected, steps=11))
    saving.write_json(steps / "r_seed3_fall.json", {})
    with pytest.raises(errors.UserError, match="another validation_split"):
        check(wanted)
    check(dataclasses.replace(corrected, split="train"))
    check(corrected)
    saving.write_json(steps / "r_seed3_scores.json", {})
    with pytest.raises(errors.UserError, match="another split"):
        check(dataclasses.replace(corrected, split="train"))


@pytest.mark.parametrize("edited", ["mine.gin", "included.gin"])
@pytest.mark.parametrize("name", ["gin_file", "evaluation_gin_file"])
def test_a_gin_file_that_was_edited_is_noticed(name, edited, wanted, tmp_path):
    mine = tmp_path / "mine.gin"
    mine.write_text(f"include '{tmp_path / 'included.gin'}'\nd_ff = 13\n")
    (tmp_path / "included.gin").write_text("d_model = 8\n")
    changed = dataclasses.replace(wanted, **{f"{name}s": [str(mine)]})
    folder = tmp_path / "compared"
    check_settings(folder, plan.settings(changed))
    saving.write_json(folder / "steps" / "r_seed3_scores.json", {})
    check_settings(folder, plan.settings(changed), plan.free_settings(folder))
    (tmp_path / edited).write_text("d_ff = 17\n")
    with pytest.raises(errors.UserError, match=f"another {name}_sha256"):
        check_settings(folder, plan.settings(changed), plan.free_settings(folder))


def test_the_gin_file_of_a_trained_row_that_was_edited_is_noticed(wanted, tmp_path):
    mine, folder = tmp_path / "mine.gin", paths.of(tmp_path / "compared")
    mine.write_text("include 'synthesizers/r.gin'\n")
    rows = dataclasses.replace(wanted, rows=(str(mine),))
    for seed in rows.seeds:
        saving.write_json(folder / plan.STEPS / f"{plan.training(str(mine), seed)}.json", {})
        model = ModelFolder.at(plan.model_dir(folder, str(mine), seed))
        run_record.remember(model, plan.request(rows, str(mine), seed), None)
    checks.check_trained(folder, rows)
    mine.write_text("include 'synthesizers/v.gin'\n")
    with pytest.raises(errors.UserError, match=r"the content of .*mine\.gin.* has changed"):
        checks.check_trained(folder, rows)


def test_the_fall_is_that_of_all_tasks_of_a_mixture(wanted, tmp_path, monkeypatch):
    """The first task has converged, the second falls by 0.06 nats: 0.03 on average."""
    losses = {8: {"a": 1.0, "b": 2.0}, 10: {"a": 1.0, "b": 1.94}}

    def evaluated(model_dir, request, options):
        found = losses[options.checkpoints].items()
        return {"results": [{"task": name, "loss": loss} for name, loss in found]}

    for step in (0, 4, 8, 10):
        checkpoint_files.write(tmp_path, step)
    monkeypatch.setattr(evaluate, "evaluate", evaluated)
    found = compare._fall(tmp_path, wanted)
    assert found["fell"] == pytest.approx(0.03)
    assert found["by_task"] == pytest.approx({"a": 0.0, "b": 0.06})
    assert found["losses"] == pytest.approx([1.5, 1.47])


@pytest.mark.slow
def test_models_to_start_from(compared, wanted):
    later = dataclasses.replace(wanted, init_from=str(compared[0]))
    plan.check(later)
    assert plan.request(later, "v", 5).init_checkpoint == compared[0] / "v_seed5"
    with pytest.raises(errors.UserError, match="lacks the model of row r and seed 4"):
        plan.check(dataclasses.replace(later, seeds=(3, 4)))


@pytest.mark.slow
def test_models_to_start_from_have_the_same_variables(compared, wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained"))
    other = dataclasses.replace(
        wanted, init_from=str(compared[0]), gin_params=(*wanted.gin_params, "d_ff = 13")
    )
    with pytest.raises(errors.UserError, match=r"another model: the variable .*wi/kernel"):
        compare.compare(tmp_path, other)
    same = dataclasses.replace(wanted, init_from=str(compared[0]))
    checks.check(paths.of(tmp_path), same)


@pytest.mark.slow
def test_the_paper_stands_beside(compared):
    table = compare.describe(compared[1]).splitlines()
    assert "paper's table2_lm1b: perplexity" in table[0]
    assert table[2].startswith("| r | ") and "| 40.6 | 2 of 2 |" in table[2]
    assert "±" in table[2]
