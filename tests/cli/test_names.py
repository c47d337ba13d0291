"""The same names in every command, however they are typed; old names; lists; tables as JSON."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from command_line import run_all

from mtf_synthesizer.cli import commands, main
from mtf_synthesizer.config import gin_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAIN = ["train", "--model_dir", "m"]
WARM = ["warm-start", "--init_checkpoint", "c", "--model_dir", "m"]
COMPARE = ["compare", "--experiment", "imdb_small", "--rows", "v", "--output", "o"]
EVALUATE = ["evaluate", "--model_dir", "m", "--task", "t"]
EXPORT = ["export", "--model_dir", "m", "--output", "o"]
PREPARE = ["data", "prepare", "--benchmark", "glue"]
# Typed -> destination and value.
TYPED = {
    "start of train": ([*TRAIN, "--from", "c"], "init_checkpoint", "c"),
    "start of compare": ([*COMPARE, "--init_from", "c"], "init_checkpoint", "c"),
    "start of warm-start": (["warm-start", "--from=c", "--model_dir", "m"], "init_checkpoint", "c"),
    "a model to write": (["warm-start", "--from", "c", "--output", "m"], "model_dir", "m"),
    "checkpoint": ([*EVALUATE, "--checkpoints", "all"], "checkpoint", "all"),
    "decoding": ([*EXPORT, "--mode", "beam"], "decode", "beam"),
    "cache": (["cache", "--task", "a", "--output_cache_dir", "o"], "output", "o"),
    "hyphens": (["train", "--model-dir", "m"], "model_dir", "m"),
    "hyphens in an old name": ([*COMPARE, "--init-from=c"], "init_checkpoint", "c"),
    "a command": (["warm_start", *WARM[1:]], "command", "warm-start"),
    "a value keeps its hyphens": ([*TRAIN, "--task=--a-b"], "task", "--a-b"),
    "a text keeps its hyphens": (
        ["maps", "--model_dir", "m", "--output", "o", "--text=--a-text"],
        "text",
        "--a-text",
    ),
    "files": ([*TRAIN, "--gin_file", "a.gin,b.gin", "--gin_file", "c.gin"], "gin_file", [*"abc"]),
    "modules": ([*TRAIN, "--module_import", "a, b"], "module_import", ["a", "b"]),
    "tasks": (["cache", "--task", "a,b", "--task", "c", "--output", "o"], "task", [*"abc"]),
    "models": (
        ["maps", "--model_dir", "a,b", "c", "--task", "t", "--output", "o"],
        "model_dir",
        [*"abc"],
    ),
    "folders": (["report", "a,b", "c", "--output", "r.md"], "folders", [*"abc"]),
    "outputs": (["report", "d", "--output", "a.md,b.html"], "output", ["a.md", "b.html"]),
    "own files": (
        [*TRAIN, "--data", "train=a.tsv,validation=b.tsv", "--data", "test=a,b.tsv"],
        "data",
        ["train=a.tsv", "validation=b.tsv", "test=a,b.tsv"],
    ),
    "bindings are left whole": ([*TRAIN, "--gin_param", "a = [1, 2]"], "gin_param", ["a = [1, 2]"]),
    "prepared data": ([*PREPARE, "--input", "i", "--output", "o"], "tfds_data_dir", "o"),
}


@pytest.mark.parametrize("case", TYPED)
def test_names(case):
    typed, destination, value = TYPED[case]
    found = getattr(commands.parser().parse_args(typed), destination)
    if destination == "gin_file":
        value = [f"{name}.gin" for name in value]
    assert (str(found) if destination == "tfds_data_dir" else found) == value


def test_a_file_may_have_a_comma_in_its_name(tmp_path):
    path = tmp_path / "a,b.gin"
    path.write_text("")
    parsed = commands.parser().parse_args([*TRAIN, "--gin_file", str(path)])
    assert parsed.gin_file == [str(path)]


def options(parser, names=()):
    """The path of every command -> its options."""
    found = {names: {name for action in parser._actions for name in action.option_strings}}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                found |= options(command, (*names, name))
    return found


def test_one_name_for_each_thing():
    known = options(commands.parser())
    old = {"--init_from", "--checkpoints", "--output_cache_dir", "--mode"}
    for names, of_command in known.items():
        allowed = {"--mode"} if names == ("bench",) else set()  # what a step is
        assert not of_command & (old - allowed), names
        assert "--from" not in of_command or names == ("data", "prepare")
        hyphens = [name for name in of_command if "-" in name.removeprefix("--").lstrip("-")]
        assert not hyphens, names


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_print_the_names_of_the_help(page):
    known = options(commands.parser())
    wrong = []
    for line in re.findall(r"mtf_synthesizer ([a-z][^`\n|]+)", page.read_text("utf-8")):
        words = line.replace("'", " ").split()
        names = max((tuple(words[:n]) for n in range(3) if tuple(words[:n]) in known), key=len)
        if names and names[0] not in ("t5", "cache"):  # they take options of T5 and of Beam
            typed = {word.partition("=")[0] for word in words if word.startswith("--")}
            wrong += [f"{' '.join(names)} {name}" for name in typed - known[names]]
    assert wrong == []


def test_every_command_that_prints_a_table_prints_json():
    """`train` and `predict` print sentences; `maps`, `report` and `submit` write files."""
    known = options(commands.parser())
    formats = {" ".join(names) for names, flags in known.items() if "--format" in flags}
    tables = {"bench", "compare", "cost", "env", "evaluate", "list", "warm-start"}
    tables |= {"checkpoints list", "checkpoints prune", "config show", "config diff"}
    assert tables | {"data list"} <= formats
    assert formats - tables - {"data list"} == {"export"}


def test_values_of_devices(capsys):
    for value in ("auto", "cpu", "gpu", "gpu:3"):
        assert commands.parser().parse_args([*TRAIN, "--device", value]).device == value
    for value in ("gpu:", "gpu:x", "tpu"):
        with pytest.raises(SystemExit):
            commands.parser().parse_args([*TRAIN, "--device", value])
        assert f"{value!r} is not one of auto, cpu, gpu" in capsys.readouterr().err


MISTAKES = {
    "two meshes": ("train --model_dir m --gpus 2 --mesh data:2", "--mesh has the number"),
    "cards and the processor": ("train --model_dir m --gpus 2 --device cpu", "one device"),
    "a mesh": ("train --model_dir m --mesh dta:2", "Did you mean 'data'"),
    "meshes of cost": ("cost --mesh data:2 --layout heads:model", "--layout also gives a mesh"),
    "decoding": ("evaluate --model_dir m --task t --beam_size 2", "belongs to --decode beam"),
    "lines": ("score --model_dir nowhere --input i --output o", "nowhere"),
}


@pytest.fixture(scope="module")
def results():
    words = {name: typed.split() for name, (typed, _) in MISTAKES.items()}
    words["help"] = ["--help"]
    words |= {f"list {kind}": ["list", kind, "--format", "json"] for kind in ("all", "sizes")}
    words["data"] = ["data", "list", "glue", "--format", "json"]
    return run_all(words)


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(results, case):
    status, out, err, has_loaded = results[case]
    assert (status, out, has_loaded) == (2, "", False)
    assert MISTAKES[case][1] in err


def test_help_is_sorted_by_what_a_person_wants(results):
    text = results["help"][1]
    goals = list(dict.fromkeys(command.goal for command in commands.COMMANDS.values()))
    places = [text.index(f"\n{goal}:\n") for goal in goals]
    assert places == sorted(places)
    assert len(goals) > 3


def test_lists_have_a_description_each(results):
    names = json.loads(results["list all"][1])
    assert list(names) == list(gin_files.KINDS)
    for kind, described in names.items():
        assert list(described) == gin_files.known(kind)
        for name, text in described.items():
            assert text.endswith((".", ")")), name
            assert "\n" not in text
    assert json.loads(results["list sizes"][1])["sizes"] == names["sizes"]
    assert "D, dense Synthesizer" in names["synthesizers"]["d"]


def test_official_files_as_json(results):
    rows = json.loads(results["data"][1])["glue"]
    assert {"dataset", "split", "files"} == rows[0].keys()


def completed(words):
    """What the shell offers behind the words, which it hands over in environment variables."""
    line = " ".join(["mtf_synthesizer", *words])
    code = "import os; os.dup2(1, 8); from mtf_synthesizer.cli.main import main; main()"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def test_the_shell_completes_commands_options_and_choices():
    pytest.importorskip("argcomplete", reason="an older .venv: make install adds argcomplete")
    assert completed(["war"]) == ["warm-start"]
    assert set(completed(["train", "--gin_"])) == {"--gin_file", "--gin_param"}
    assert completed(["predict", "--decode", "b"]) == ["beam"]


def test_shell_code(capsys):
    pytest.importorskip("argcomplete", reason="an older .venv: make install adds argcomplete")
    for shell in ("bash", "zsh", "fish"):
        assert main.main(["completion", shell]) == 0
        assert "mtf_synthesizer" in capsys.readouterr().out
