"""A model's folder is one snapshot."""

import json
import os
import pathlib

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import best, run_file, state, vocabulary
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint


@pytest.fixture
def model(tmp_path):
    """Checkpoints of steps 3, 5 and 7, and one of step 11 that was never finished."""
    for step in (3, 5, 7, 11):
        checkpoint_files.write(tmp_path / "m", step)
    (tmp_path / "m" / "model.ckpt-11.data-00000-of-00001").unlink()
    return tmp_path / "m"


def test_a_snapshot_stays_and_another_one_sees_what_changed(model):
    folder = ModelFolder.at(str(model))
    assert [checkpoint.step for checkpoint in folder.checkpoints] == [3, 5, 7]
    checkpoint_files.write(model, 13)
    assert folder.latest.step == 7
    assert folder.reread().latest.step == 13


def test_the_folder_is_listed_once(model, monkeypatch):
    calls = []
    matching = paths.matching
    monkeypatch.setattr(paths, "matching", lambda *given: calls.append(given) or matching(*given))
    folder = ModelFolder(model)
    for choice in ("latest", "all", 5):
        folder.choose(choice)
    assert (folder.latest, folder.current, folder.reports) == (*folder.checkpoints[-1:] * 2, [])
    assert len(calls) == 1


def test_checkpoints_are_chosen(model):
    folder = ModelFolder(model)
    assert [checkpoint.step for checkpoint in folder.choose("all")] == [3, 5, 7]
    assert folder.choose("latest") == [folder.latest]
    assert folder.choose("5") == folder.choose(5) == folder.checkpoints[1:2]
    with pytest.raises(errors.UserError, match=r"no checkpoint '11' in .*: choose .* 3, 5, 7"):
        folder.choose(11)
    of_step = {
        step: {"task": "t", "step": step, "metrics": {"loss": abs(step - 5)}}
        | {"checkpoint": folder.fingerprints[step]}
        for step in (3, 5, 7)
    }
    report = json.dumps({"results": [*of_step.values()]})
    best.report_path(model, "t", "validation").write_text(report)
    assert folder.best("t").step == 5
    for empty in (model / "nowhere", model.parent):
        assert ModelFolder(empty).checkpoints == []
        with pytest.raises(errors.UserError, match="no checkpoint"):
            ModelFolder(empty).choose("all")


def test_other_files_are_no_checkpoints(model):
    """Names that only end like one, and files that macOS leaves beside each."""
    for name in ("my_model.ckpt-17", "._model.ckpt-19"):
        (model / f"{name}.index").write_bytes(checkpoint_files.END)
        (model / f"{name}.data-00000-of-00001").touch()
    assert ModelFolder(model).latest.step == 7


def test_training_resumes_where_the_state_points(model):
    names = [f"model.ckpt-{step}" for step in (3, 5, 7)]
    state.write(model, names[1], names)  # set back
    assert ModelFolder(model).current.step == 5
    state.write(model, names[1], names[:2])  # older than the last checkpoint
    assert ModelFolder(model).current.step == 7
    assert ModelFolder(model).repair().step == 7
    assert ModelFolder(model).state.named == "model.ckpt-7"


def test_repair_leaves_a_copied_folder_its_own(model):
    (model / "model.ckpt-12_temp").mkdir()
    original = '"/elsewhere/model.ckpt-7"'
    (model / state.STATE).write_text(
        f"model_checkpoint_path: {original}\nall_model_checkpoint_paths: {original}\n"
    )
    assert ModelFolder(model).repair().step == 7
    assert "elsewhere" not in (model / state.STATE).read_text()
    assert not (model / "model.ckpt-12_temp").exists()
    assert ModelFolder(model.parent).repair() is None


def test_the_lock_gives_a_snapshot_from_inside(model):
    folder = ModelFolder(model)
    assert len(folder.checkpoints) == 3
    checkpoint_files.write(model, 13)
    with folder.lock() as locked:
        assert locked.latest.step == 13
        with pytest.raises(errors.UserError, match="is in use"), ModelFolder(model).lock():
            pytest.fail("held twice")


def test_records_are_read_or_refused(model):
    folder = ModelFolder(model)
    assert (folder.request, folder.vocabulary, folder.is_average) == (None, None, False)
    assert folder.reports == []
    for name, attribute in ((run_file.RECORD, "request"), (vocabulary.RECORD, "vocabulary")):
        (model / name).write_text("[]")
        with pytest.raises(errors.UserError, match=f"{name} is not a record .*Remove the file"):
            getattr(folder.reread(), attribute)
    with pytest.raises(errors.UserError, match="not the folder of a trained model"):
        assert folder.operative_config


def test_it_is_a_path(model):
    folder = ModelFolder.at(model)
    assert ModelFolder.at(folder) is folder
    assert os.fspath(folder) == str(folder) == str(model)
    assert pathlib.Path(folder) == model
    with pytest.raises(errors.UserError, match="is empty"):  # not the working directory
        ModelFolder.at("")


def test_where_a_run_starts_from(model):
    folder = ModelFolder(model)
    assert start_checkpoint(model) == start_checkpoint(folder.latest) == folder.latest
    for path in (model / "model.ckpt-3", f"{model}/model.ckpt-3.index"):
        assert start_checkpoint(path) == folder.checkpoints[0]
    for path in (model / "model.ckpt-4", model / "run.json"):
        with pytest.raises(errors.UserError, match="no checkpoint at"):
            start_checkpoint(path)
