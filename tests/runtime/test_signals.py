"""SIGTERM ends the commands that train with a status of its own, wherever it finds them."""

import json
import os
import subprocess
import sys

import pytest

# Each command in a child of its own, which is killed while TensorFlow is being loaded.
COMMANDS = """
import json, os, signal, sys
from mtf_synthesizer.cli import main as cli
from mtf_synthesizer.runtime import loading

def load(verbose):
    with loading.captured_native_messages():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:  # as an import or a destructor that drops what is raised in it
            pass
    sys.exit("went on")

loading.load_tensorflow = load
found = {}
for command in json.load(sys.stdin):
    child = os.fork()
    if not child:
        sys.exit(cli.main(command))
    found[command[0]] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(found))
"""

TRAINING = {
    "train": ["--synthesizer", "r", "--size", "tiny", "--task", "t", "--model_dir", "m"],
    "compare": ["--experiment", "tiny_shakespeare", "--rows", "r", "--output", "c"],
    "demo": ["--output", "d"],
    "t5": ["--model_dir=m", "--gin_file=models/bi_v1.gin"],
}


@pytest.mark.slow
def test_while_tensorflow_is_being_loaded(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input=json.dumps([[name, *given] for name, given in TRAINING.items()]),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout or "{}") == dict.fromkeys(TRAINING, 75), done.stderr
    *said, of_t5 = done.stderr.splitlines()
    assert said == 3 * [
        "mtf_synthesizer: asked to end outside of a training step: nothing had to be saved; "
        "run the same command again to resume"
    ]
    assert "the last checkpoint of T5 is kept" in of_t5


# A training inside a command: the signal comes where {here} stands.
NESTED = """
import os, signal
from mtf_synthesizer.runtime import signals

def killed():
    os.kill(os.getpid(), signal.SIGTERM)

with signals.ends_the_process("asked"):
    with signals.noticed() as notice:
        {before_steps}
        notice.steps_begin()
        {in_steps}
        print("came" if notice.came else "steps")
    {after}
print("done")
"""
PLACES = ("before_steps", "in_steps", "after")


@pytest.mark.parametrize(
    ("here", "status", "out"),
    [
        ("before_steps", 75, ""),
        ("in_steps", 0, "came\ndone\n"),
        ("after", 75, "steps\n"),
    ],
)
def test_a_training_inside_a_command(here, status, out):
    code = NESTED.format(**dict.fromkeys(PLACES, "") | {here: "killed()"})
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=buffered
    )
    assert (done.returncode, done.stdout) == (status, out)
    assert done.stderr == (
        "mtf_synthesizer: asked; run the same command again to resume\n" if status else ""
    )


@pytest.mark.parametrize("here", PLACES)
def test_what_was_ignored_stays_ignored(here):
    """As of a process that a shell starts after `trap '' TERM`."""
    code = NESTED.format(**dict.fromkeys(PLACES, "") | {here: "killed()"})
    done = subprocess.run(
        ["sh", "-c", 'trap "" TERM; exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "steps\ndone\n", "")
