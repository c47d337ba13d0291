"""Two commands with one output, and runs with nothing to do: answered without TensorFlow."""

import contextlib
import pathlib
import shutil

import command_line
import pytest

from mtf_synthesizer.files import locks
from mtf_synthesizer.model_folder.folder import ModelFolder

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "first_house"
MODEL = ["--model_dir", str(GOLDEN / "r")]
TASK = ["--task", "synthesizer_verses_v001"]
COMMANDS = {
    "predict": ["predict", *MODEL, *TASK, "--output"],
    "predict --input": ["predict", *MODEL, "--input", "/dev/null", "--output"],
    "predict --benchmark": ["predict", *MODEL, "--benchmark", "glue", "--output"],
    "export": ["export", *MODEL, "--mode", "greedy", "--output"],
    "maps": ["maps", *MODEL, *TASK, "--output"],
    "compare": ["compare", "--experiment", "tiny_shakespeare", "--rows", "r", "--output"],
    "demo": ["demo", "--output"],
    "warm-start": ["warm-start", "--from", str(GOLDEN / "r"), "--model_dir"],
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    with contextlib.ExitStack() as held:
        commands = {}
        for name, words in COMMANDS.items():
            output = folder / name
            held.enter_context(locks.hold_output(output))
            commands[name] = [*words, str(output)]
        results = command_line.run_all(commands)
    return folder, results


@pytest.mark.parametrize("name", COMMANDS)
def test_the_second_job_is_refused(tried, name):
    folder, results = tried
    status, out, err, has_loaded = results[name]
    assert (status, out) == (2, ""), err
    assert f"{folder / name} is in use: process" in err
    assert not has_loaded
    assert list(folder.iterdir()) == []


SAME_RUN = ["--task", "synthesizer_verse_spans_v001", "--synthesizer", "r", "--size", "tiny"]
SAME_RUN += ["--run", "demo_pretrain", "--steps", "2"]
for binding in ("max_length = 64", "d_model = 16", "d_ff = 64", "batch_size = 4"):
    SAME_RUN += ["--gin_param", binding]


def test_train_is_answered_from_the_folder(tmp_path):
    """A run that has all its steps; a folder that another run trains in."""
    idle, busy = (shutil.copytree(GOLDEN / "r", tmp_path / name) for name in ("idle", "busy"))
    with ModelFolder(busy).lock():
        results = command_line.run_all(
            {
                "idle": ["train", *SAME_RUN, "--model_dir", str(idle)],
                "busy": ["train", *SAME_RUN, "--model_dir", str(busy)],
            }
        )
    status, out, err, has_loaded = results["idle"]
    assert (status, err, has_loaded) == (0, "", False)
    assert out.startswith(f"{idle}: nothing to train: the model is at step 2, loss 8.2145, and ")
    status, out, err, has_loaded = results["busy"]
    assert (status, out, has_loaded) == (2, "", False)
    assert f"{busy} is in use: process" in err
