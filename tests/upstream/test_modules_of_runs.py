"""Modules of a run: the message about an unknown task names them, and nothing imports them."""

import json

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.upstream import tasks


def record(folder, *modules):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"seed": 0, "modules": modules}))


def test_an_unknown_task_names_the_modules_of_the_run(tmp_path, monkeypatch):
    (tmp_path / "of_a_stranger.py").write_text("import pathlib; pathlib.Path('PWNED').touch()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    record(tmp_path / "m", "mtf_synthesizer.tasks", "of_a_stranger", "os; rm", 3)
    record(tmp_path / "other")
    with pytest.raises(errors.UserError) as error:
        tasks.check_task("task_of_a_stranger", tmp_path / "m", tmp_path / "other", tmp_path / "no")
    assert str(error.value).startswith("unknown task 'task_of_a_stranger'.")
    advice = f" The run of {tmp_path / 'm'} had --module_import of_a_stranger: give that if you "
    assert str(error.value).endswith(f"{advice}trust the code")
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"seed": 0, "modules": 3}', '{"seed": 0}'])
def test_a_folder_whose_record_names_none_is_not_mentioned(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(errors.UserError, match=r"`mtf_synthesizer list tasks` shows them\.$"):
        tasks.check_task("unheard_of", tmp_path)
