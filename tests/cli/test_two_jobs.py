"""A command whose output another command is writing is refused before TensorFlow is loaded."""

import contextlib
import pathlib

import command_line
import pytest

from mtf_synthesizer.files import locks

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
