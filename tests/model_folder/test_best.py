"""The best step of a model, from the report of its validation split."""

import json
import pathlib

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.best import find, report_path
from mtf_synthesizer.model_folder.folder import ModelFolder


def entry(task, step, metric="accuracy"):
    return {"task": task, "metric": metric, "step": step, "value": 0.5}


@pytest.fixture
def model(tmp_path):
    for step in (3, 5, 7):
        checkpoint_files.write(tmp_path, step)
    return tmp_path


def write(model, task, *best):
    path = report_path(model, task, "validation")
    path.write_text(json.dumps({"results": [], "best": best}))


def test_of_a_task_and_of_a_mixture(model):
    write(model, "t", entry("t", 5))
    write(model, "mixture", entry("t", 5), entry("u", 3), entry("glue", 7, "average"))
    assert ModelFolder.at(model).choose("best", "t")[0].step == 5
    assert ModelFolder.at(model).choose("best", "mixture")[0].step == 7


def test_nothing_says_which_is_the_best(model):
    with pytest.raises(errors.UserError, match=r"evaluate --task t --split validation --check"):
        ModelFolder.at(model).choose("best", "t")
    write(model, "t", entry("u", 5), entry("v", 3))
    with pytest.raises(errors.UserError, match="names no best step of t"):
        ModelFolder.at(model).choose("best", "t")
    write(model, "t", entry("t", 5), entry("t", 3))
    with pytest.raises(errors.UserError, match=r"several best steps.*3, 5"):
        ModelFolder.at(model).choose("best", "t")
    with pytest.raises(errors.UserError, match="give --task"):
        ModelFolder.at(model).choose("best")


def test_the_best_may_be_gone(model):
    write(model, "t", entry("t", 11))
    with pytest.raises(errors.UserError, match=r"no checkpoint '11'.* one of 3, 5, 7"):
        ModelFolder.at(model).choose("best", "t")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"best": 3}', '{"best": [3]}'])
def test_no_report(model, content):
    report_path(model, "t", "validation").write_text(content)
    with pytest.raises(errors.UserError, match="not a report of an evaluation"):
        find(model, "t")


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
