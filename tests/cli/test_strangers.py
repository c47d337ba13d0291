"""Every command refuses a model folder that would run something, before TensorFlow is loaded."""

import command_line
import pytest
import strangers

TASK = ["--task", "synthesizer_verses_v001"]
MODEL = ["--model_dir", "runs/m"]
FINETUNE = ["--run", "demo_finetune", "--steps", "2", "--init_checkpoint", "runs/m"]
NEW = ["--model_dir", "runs/new"]
COMMANDS = {
    "evaluate": ["evaluate", *MODEL, *TASK],
    "predict": ["predict", *MODEL, *TASK, "--output", "p.jsonl"],
    "predict --input": ["predict", *MODEL, "--input", "in.txt", "--output", "p.txt"],
    "export": ["export", *MODEL, "--mode", "greedy", "--output", "e"],
    "export --format": ["export", *MODEL, "--format", "huggingface", "--output", "h"],
    "maps": ["maps", *MODEL, *TASK, "--output", "maps"],
    "train --init_checkpoint": ["train", *NEW, *TASK, *FINETUNE],
    "train --gin_file": ["train", *NEW, *TASK, "--gin_file", strangers.CONFIG],
    "warm-start": ["warm-start", *NEW, "--from", "runs/m"],
    "warm-start --run": ["warm-start", *NEW, "--from", "runs/m", "--run", "demo_finetune"],
    "t5": ["t5", "--model_dir=runs/new", f"--gin_file={strangers.CONFIG}"],
    "t5 --use_model_api": ["t5", "--use_model_api", "--mode=eval", "--model_dir=runs/m"],
    "t5 finetune": [
        *["t5", "--use_model_api", "--mode=finetune", "--model_dir=runs/new"],
        "--pretrained_model_dir=runs/m",
    ],
}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Every command in the place of every way in: their working directories, and the results."""
    places = {name: tmp_path_factory.mktemp("stranger") for name in strangers.WAYS}
    commands = {}
    for name, place in places.items():
        strangers.prepare(place, strangers.WAYS[name])
        (place / "in.txt").write_text("a text\n", "utf-8")
        for command, words in COMMANDS.items():
            commands[f"{name}: {command}"] = (str(place), words)
    return places, command_line.run_all_in(commands)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", strangers.WAYS)
def test_a_command_runs_nothing(tried, name, command):
    places, results = tried
    status, out, err, has_loaded = results[f"{name}: {command}"]
    assert (status, out) == (2, ""), err
    assert strangers.WAYS[name].line in err and strangers.WAYS[name].said in err
    assert not has_loaded
    assert not (places[name] / strangers.MARKER).exists()
    assert not (places[name] / "runs" / "new").exists()
