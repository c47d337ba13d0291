"""The best step of a model, from the report of its validation split."""

import json
import pathlib

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.best import find, report_path
from mtf_synthesizer.model_folder.folder import ModelFolder


def rows_of(model, task, values, **changes):
    """Rows of a report: step -> accuracy."""
    prints = ModelFolder.at(model).fingerprints
    return [
        {"task": task, "step": step, "metrics": {"accuracy": value}, "limit": None}
        | {"checkpoint": prints.get(step, "gone"), "decoding": None, **changes}
        for step, value in values.items()
    ]


@pytest.fixture
def model(tmp_path):
    for step in (3, 5, 7):
        checkpoint_files.write(tmp_path, step)
    return tmp_path


def write(model, task, *rows, averages=()):
    path = report_path(model, task, "validation")
    path.write_text(json.dumps({"results": rows, "averages": averages}))


def test_of_a_task_and_of_a_mixture(model):
    write(model, "t", *rows_of(model, "t", {3: 0.1, 5: 0.9, 7: 0.5}))
    assert ModelFolder.at(model).choose("best", "t")[0].step == 5
    averages = [
        row | {"benchmark": "glue", "value": row["metrics"]["accuracy"]}
        for row in rows_of(model, "glue", {3: 0.1, 7: 0.9})
    ]
    write(model, "mixture", *rows_of(model, "t", {3: 0.1, 5: 0.9}), averages=averages)
    assert ModelFolder.at(model).choose("best", "mixture")[0].step == 7


def test_nothing_says_which_is_the_best(model):
    with pytest.raises(errors.UserError, match=r"evaluate --task t --split validation --check"):
        ModelFolder.at(model).choose("best", "t")
    write(model, "t", *rows_of(model, "u", {3: 0.1, 5: 0.9}))
    with pytest.raises(errors.UserError, match="names no best step of t"):
        ModelFolder.at(model).choose("best", "t")
    several = rows_of(model, "t", {3: 0.1, 5: 0.9}), rows_of(model, "t", {3: 9, 5: 1}, limit=2)
    write(model, "t", *several[0], *several[1])
    with pytest.raises(errors.UserError, match=r"several best steps.*3, 5"):
        ModelFolder.at(model).choose("best", "t")


def test_a_model_of_one_task_needs_no_task(model):
    """As `predict --benchmark` and `--input` have none."""
    with pytest.raises(errors.UserError, match=r"no report in .* names a best step"):
        ModelFolder.at(model).choose("best")
    write(model, "mixture", *rows_of(model, "mixture", {3: 0.1, 7: 0.9}))
    assert ModelFolder.at(model).choose("best")[0].step == 7
    write(model, "t", *rows_of(model, "t", {5: 0.1, 7: 0.9}))
    assert ModelFolder.at(model).choose("best")[0].step == 7
    write(model, "u", *rows_of(model, "u", {3: 0.9, 7: 0.1}))
    with pytest.raises(errors.UserError, match=r"one of 3 \(of u\), 7 \(of mixture\)"):
        ModelFolder.at(model).choose("best")


def test_the_direction_of_a_metric_is_not_guessed(model):
    rows = rows_of(model, "t", {3: 0.9, 7: 0.1})
    write(model, "t", *(row | {"metrics": {"surprise": 1.0}} for row in rows))
    with pytest.raises(errors.UserError, match=r"no best step of t: surprise may be better"):
        ModelFolder.at(model).choose("best", "t")


def test_the_split_may_be_called_dev(model):
    write(model, "t", *rows_of(model, "t", {3: 0.1, 5: 0.9}))
    report_path(model, "t", "validation").rename(report_path(model, "t", "dev"))
    assert ModelFolder.at(model).choose("best", "t")[0].step == 5


def test_rows_of_checkpoints_that_were_replaced_or_removed_do_not_count(model):
    write(model, "t", *rows_of(model, "t", {3: 0.1, 5: 0.9, 7: 0.5, 11: 1.0}))
    assert ModelFolder.at(model).best("t").step == 5
    checkpoint_files.write(model, 5, b"trained again")
    assert ModelFolder.at(model).best("t").step == 7
    checkpoint_files.write(model, 7, b"trained again")
    with pytest.raises(errors.UserError, match="no best step of t among the checkpoints that exi"):
        ModelFolder.at(model).best("t")
    rows = rows_of(model, "t", {5: 0.2, 7: 0.3})
    write(model, "t", *rows_of(model, "t", {5: 0.9}, checkpoint="old"), *rows)
    assert ModelFolder.at(model).best("t").step == 7


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"best": 3}', '{"best": [3]}'])
def test_no_report(model, content):
    report_path(model, "t", "validation").write_text(content)
    with pytest.raises(errors.UserError, match="not a report of an evaluation"):
        find(model, "t", {})


def test_a_checkpoint_without_all_its_values_is_none(tmp_path):
    for step in (3, 5):
        (tmp_path / f"model.ckpt-{step}.index").write_bytes(checkpoint_files.END)
    for name in ("5.data-00000-of-00002", "7.data-00000-of-00001"):
        (tmp_path / f"model.ckpt-{name}").touch()
    assert ModelFolder.at(tmp_path).checkpoints == []
    (tmp_path / "model.ckpt-5.data-00001-of-00002").touch()
    assert [each.step for each in ModelFolder.at(tmp_path).checkpoints] == [5]


def test_a_checkpoint_whose_index_is_not_finished_is_none(tmp_path):
    checkpoint_files.write(tmp_path, 3)
    last = pathlib.Path(checkpoint_files.write(tmp_path, 5, b"names and shapes").path + ".index")
    assert [each.step for each in ModelFolder.at(tmp_path).checkpoints] == [3, 5]
    last.write_bytes(last.read_bytes()[:-1])
    assert [each.step for each in ModelFolder.at(tmp_path).checkpoints] == [3]
