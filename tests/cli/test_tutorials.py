"""Tutorial pages: their commands exist; `make check-tutorials` runs them."""

import shlex
import subprocess
import sys

import pytest
import tutorials

from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.data import prepare
from mtf_synthesizer.files import paths
from mtf_synthesizer.submissions import glue


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
    source = tutorials.modules("glue")["glue_sample.py"]
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


def test_the_tutorial_of_glue_submits_every_file_but_qqp():
    predicting, submitting = (
        parser().parse_args(shlex.split(c)[1:])
        for c in tutorials.commands("glue")
        if c.startswith(("mtf_synthesizer predict", "mtf_synthesizer submit"))
    )
    chosen = {glue.GLUE.file(task).name for task in predicting.tasks}
    assert chosen == {file.name for file in glue.GLUE.files} - {"QQP.tsv"}
    assert submitting.partial
    named = {
        file.name for word in submitting.invalid for file in glue.GLUE.files if file.named(word)
    }
    assert named == {file.name for file in glue.GLUE.files}
