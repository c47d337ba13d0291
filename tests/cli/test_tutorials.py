"""Tutorial pages: their commands exist; `make check-tutorials` runs them."""

import dataclasses
import re
import shlex
import subprocess
import sys

import pytest
import submission_checker
import tutorials

from mtf_synthesizer.cli import main
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.data import prepare
from mtf_synthesizer.files import paths
from mtf_synthesizer.submissions import glue, layout, leaderboards

SAMPLE = "glue_sample.py"


@pytest.mark.parametrize("page", tutorials.TUTORIALS)
def test_commands_parse_and_are_shortened(page):
    ours = [c for c in tutorials.commands(page) if c.startswith("mtf_synthesizer ")]
    assert ours
    for command in ours:
        args = parser().parse_args(shlex.split(tutorials.shortened(command, 3))[1:])
        if args.command == "train":
            assert args.steps == 3


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The made-up GLUE of docs/glue.md."""
    folder = tmp_path_factory.mktemp("glue")
    source = tutorials.modules("glue")[SAMPLE]
    subprocess.run([sys.executable, "-c", source], cwd=folder, check=True)
    return folder / "glue_data"


@pytest.mark.slow
def test_the_sample_of_glue_has_every_file_and_the_test_sets_of_the_server(sample):
    findings = prepare.survey("glue", paths.of(sample), show_progress=False)
    states = {(f.dataset.tfds_name, f.split.name): f.state for f in findings}
    assert set(states.values()) == {"complete", "other count"}
    tests = {place for place in states if place[1].startswith("test")}
    assert tests == {place for place, state in states.items() if state == "complete"}
    assert len(tests) > len(glue.GLUE.files)  # MNLI's belong to two data sets each


def test_the_vocabulary_of_the_sample_spells_every_label(sample):
    """A letter without a piece is unknown, and the model can't write a label that has it."""
    (command,) = (c for c in tutorials.commands("glue") if " data vocabulary " in c)
    files = parser().parse_args(shlex.split(command)[1:]).input
    letters = {c for file in files for c in (sample.parent / file).read_text("utf-8")}
    for file in glue.GLUE.files:
        for answers in file.tasks.values():
            labels = "0123456789." if file.stem == "STS-B" else answers.allowed
            assert set(labels.replace(",", "")) <= letters, file.name


def test_the_tutorial_of_glue_submits_every_file_but_qqp_and_then_every_file():
    predicting, submitting, predicting_all, submitting_all = (
        parser().parse_args(shlex.split(c)[1:])
        for c in tutorials.commands("glue")
        if c.startswith(("mtf_synthesizer predict", "mtf_synthesizer submit"))
    )
    chosen = {glue.GLUE.file(task).name for task in predicting.tasks}
    assert chosen == {file.name for file in glue.GLUE.files} - {"QQP.tsv"}
    assert not predicting_all.tasks and predicting_all.batch_size == predicting.batch_size
    assert submitting.partial and not submitting_all.partial
    for args in (submitting, submitting_all):
        named = {file.name for word in args.invalid for file in glue.GLUE.files if file.named(word)}
        assert named == {file.name for file in glue.GLUE.files}


ROWS = 5  # of each test file
BINDINGS = ("d_model = 8", "num_layers = 1", "d_ff = 11", "num_heads = 2", "d_kv = 3")


@pytest.mark.slow
def test_the_tutorial_of_glue_makes_the_whole_zip(tmp_path, monkeypatch):
    """Its own commands, from files to eleven tables, with five rows in each test file."""
    files = tuple(
        dataclasses.replace(file, identities=layout.Identities(ROWS)) for file in glue.GLUE.files
    )
    small = dataclasses.replace(glue.GLUE, files=files)
    monkeypatch.setitem(leaderboards._KNOWN, "glue", lambda: small)
    counts = {name: (ROWS, kind) for name, (_, kind) in submission_checker.GLUE.items()}
    monkeypatch.setattr(submission_checker, "GLUE", counts)
    monkeypatch.chdir(tmp_path)
    source = re.sub(
        r'(test\w*|diagnostic)": \d+', rf'\1": {ROWS}', tutorials.modules("glue")[SAMPLE]
    )
    subprocess.run([sys.executable, "-c", source], check=True)
    # Without the commands that leave out QQP.
    commands = [c for c in tutorials.commands("glue") if "--tasks" not in c and "qqp" not in c]
    for command in commands:
        name, *words = shlex.split(tutorials.shortened(command, 1))
        if name == "mtf_synthesizer" and words[0] != "evaluate":
            more = [w for b in BINDINGS for w in ("--gin_param", b)] if words[0] == "train" else []
            assert main.main([*words, *more]) == 0, command
    assert submission_checker.problems("glue", tmp_path / "runs/submission.zip") == []
