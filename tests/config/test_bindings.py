"""Final bindings of gin files and model folders, and their differences."""

import json

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import config as command
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.config import bindings

FIRST = """
import t5.models
width = 3
twice = (%width, "x")
encoder/module.Layer.sizes = [%twice, %open, @scope/Other()]
Layer.sizes = {"a": %width}
Layer.sizes = {"a": None}
"""


@pytest.fixture
def first(tmp_path):
    (tmp_path / "first.gin").write_text(FIRST)
    return str(tmp_path / "first.gin")


def folder(path, text, **record):
    path.mkdir()
    (path / "operative_config.gin").write_text(text)
    if record:
        (path / "run.json").write_text(json.dumps(record))
    return str(path)


def run(*typed):
    command.run(parser().parse_args(["config", *typed]))


def test_later_statements_win_and_macros_are_replaced(first):
    assert bindings.final([first]) == {
        "Layer.sizes": "{'a': None}",
        "encoder/Layer.sizes": "[(3, 'x'), %open, @scope/Other]",
        "twice": "(3, 'x')",
        "width": "3",
    }


def test_a_macro_that_names_itself_ends(tmp_path):
    (tmp_path / "a.gin").write_text("a = %b\nb = %a\nc = (%a,)\n")
    assert bindings.final([str(tmp_path / "a.gin")])["c"].startswith("(%")


def test_show(tmp_path, capsys):
    place = folder(tmp_path / "m", "b = 1\na = 2\n", seed=7)
    run("show", "--model_dir", place)
    assert capsys.readouterr().out == "run.json: seed = 7\na = 2\nb = 1\n"
    run("show", "--model_dir", place, "--format", "json")
    assert json.loads(capsys.readouterr().out) == {"run.json: seed": "7", "a": "2", "b": "1"}


def test_diff_of_folders_and_files(tmp_path, capsys):
    here = folder(tmp_path / "m", "a = 1\nx.C.d = 2\n", seed=7)
    (tmp_path / "b.gin").write_text("a = 3\ny.x.C.d = 2\n")
    run("diff", here, str(tmp_path / "b.gin"))
    assert capsys.readouterr().out == ("run.json: seed\n  - 7\n  + (not bound)\na\n  - 1\n  + 3\n")
    run("diff", here, str(tmp_path / "b.gin"), "--format", "json")
    assert json.loads(capsys.readouterr().out)["a"] == ["1", "3"]
    run("diff", here, here)
    assert capsys.readouterr().out == "no difference\n"


def test_files_of_the_package_by_name(capsys):
    run("diff", "sizes/tiny.gin", "sizes/mini.gin")
    assert "d_model\n  - 64\n" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["missing.gin", "."])
def test_a_place_without_configuration(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.UserError, match=r"not found|not the folder of a trained model"):
        run("show", "--model_dir", place)
