"""Tutorial pages: one runs here with few steps; `make check-tutorials` runs all at full length."""

import pathlib
import shlex
import subprocess
import sys

import pytest
import tutorials

from mtf_synthesizer.cli.commands import parser

SCRIPT = pathlib.Path(tutorials.__file__)


@pytest.mark.parametrize("page", tutorials.TUTORIALS)
def test_commands_parse_and_are_shortened(page):
    ours = [c for c in tutorials.commands(page) if c.startswith("mtf_synthesizer ")]
    assert ours
    for command in ours:
        args = parser().parse_args(shlex.split(tutorials.shortened(command, 3))[1:])
        if args.command == "train":
            assert args.steps == 3


@pytest.mark.slow
def test_from_a_tsv_file_to_predictions(tmp_path):
    words = [sys.executable, str(SCRIPT), "own_task", "--steps", "2", "--folder", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = (tmp_path / "own_task/runs/upper_predictions.jsonl").read_text().splitlines()
    assert len(rows) == 40
