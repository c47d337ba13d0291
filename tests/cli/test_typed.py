"""Arguments out of word processors, scripts and hasty hands; terminals of any encoding."""

import os
import subprocess
import sys

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import main as cli
from mtf_synthesizer.files import saving

TYPED = {
    "empty": (["train", "--model_dir", ""], "--model_dir: the value is empty"),
    "empty after =": (["train", "--model_dir="], "--model_dir: the value is empty"),
    "blank": (["evaluate", "--task", " "], "--task: the value is empty"),
    "empty in a list": (["submit", "--predictions", "a", ""], "the value is empty"),
    "en dash": (["train", "\u2013\u2013steps"], "begins with \u2013. Type hyphens: --steps"),
    "em dash": (["train", "\u2014steps", "2"], "Type hyphens: --steps"),
    "quotes": (
        ["train", "--gin_param", "\u201cnum_layers", "=", "4\u201d"],
        "--gin_param: \u201c is not a shell quote",
    ),
    "quotes after =": (["train", "--task=\u2018x\u2019"], "--task: \u2018 is not a shell quote"),
    "glued": (["train", "--steps200"], "unknown option --steps200. Insert a space: --steps 200"),
    "glued value": (
        ["train", "--synthesizer", "rv--size", "tiny"],
        "rv--size: insert a space before --size: rv --size",
    ),
    "bytes": (["train", "--model_dir", "runs/\udcff"], "'runs/\\udcff': not UTF-8"),
    "glued to the longer": (["predict", "--batch_size8"], "Insert a space: --batch_size 8"),
}


@pytest.mark.parametrize("case", TYPED)
def test_what_is_typed_otherwise(case, capsys, tmp_path, monkeypatch):
    typed, message = TYPED[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(typed)
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_texts_may_be_anything(capsys):
    for text in ("", "\u201cquoted\u201d", "\u2013 5"):
        with pytest.raises(SystemExit):
            cli.main(["maps", "--model_dir", "m", "--text", text])
        assert "--output" in capsys.readouterr().err  # which alone is missing


@pytest.mark.parametrize("check", [saving.check_file, saving.check_folder])
def test_an_empty_path_is_not_the_working_directory(check):
    with pytest.raises(errors.UserError, match="is empty"):
        check("")


@pytest.mark.parametrize("typed", [["train", "--help"], ["evaluate", "--help"], ["list"]])
def test_a_terminal_that_lacks_letters(typed):
    """`train --help` holds an \u03b1."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "mtf_synthesizer", *typed]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if typed[0] == "train":
        assert b"summaries of \\u03b1" in b" ".join(done.stdout.split())
