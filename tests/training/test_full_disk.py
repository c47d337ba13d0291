"""A checkpoint that can't be written leaves the one before, and the command goes on with room."""

import json
import pathlib
import subprocess
import sys

import pytest

# Fills a small disk while a model trains on it; prints what was said and what was left.
SCRIPT = """
import json, pathlib, sys
import mtf_synthesizer.runtime.compat
import quick_graphs
quick_graphs.install()
from small_runs import train
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import failures
from mtf_synthesizer.training.train import alphas

def steps_of(folder):
    model = ModelFolder(folder)
    return [checkpoint.step for checkpoint in model.checkpoints], model.state.named

folder = pathlib.Path(sys.argv[1]) / "m"
options = {"attention_summaries": False}
train(folder, steps=3, **options)
ballast = folder.parent / "ballast"
with ballast.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
    file.truncate(file.tell() - 5 * 4096)  # enough for a few losses
try:
    train(folder, steps=8, **options)
    said = None
except Exception as error:
    said = failures.describe(error)
left = steps_of(folder)
alphas(folder)
ballast.unlink()
again = train(folder, steps=8, **options)
rows = [row["step"] for row in again["losses"]]
print(json.dumps([said, left, again["trained"], rows, steps_of(folder)]))
"""


def on_a_small_disk(folder, *command):
    """A command with a disk of its own of 16 MB, which only it can see."""
    mount = 'mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, folder, *command]


@pytest.fixture
def small_disk(tmp_path):
    try:
        subprocess.run(on_a_small_disk(tmp_path, "true"), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine lets no user mount a disk: {error}")
    return tmp_path


@pytest.mark.slow
def test_a_full_disk(small_disk):
    command = on_a_small_disk(small_disk, sys.executable, "-c", SCRIPT, small_disk)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=pathlib.Path(__file__).parent.parent / "support",
    )
    said, left, trained, rows, then = json.loads(done.stdout.splitlines()[-1])
    assert said.startswith(f"the disk mounted at {small_disk} is full ({small_disk}/m/")
    assert "No space left on device). Completed files are unharmed: free some" in said
    assert left == [[0, 3], "model.ckpt-3"]
    assert trained == 5
    assert rows == [1, 2, 3, 4, 5, 6, 7, 8]
    assert then == [[0, 3, 6, 8], "model.ckpt-8"]
