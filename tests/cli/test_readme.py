"""The examples of README and docs work, their links exist, and each page is in the index."""

import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from harness import D_KV, HEADS, call_layer, constant

from mtf_synthesizer import errors
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.cli import commands
from mtf_synthesizer.config import gin_files

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SUPPORT = str(ROOT / "tests/support")
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^    (mtf_synthesizer .+)$", README, re.MULTILINE)
X = np.random.RandomState(0).normal(size=(1, 7, 13))


def test_own_function_is_packed_as_alone():
    page = (ROOT / "docs/own_function.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scope = {}
    exec(example, scope)
    layer = SyntheticAttention(scope["Distance"](), num_heads=HEADS, key_value_size=D_KV)
    ids = np.array([[1, 1, 1, 1, 2, 2, 2]])
    packed = call_layer(layer, X, sequence_id=lambda m: constant(m, ids, ["batch", "length"]))
    alone = call_layer(layer, X[:, :4])
    np.testing.assert_allclose(packed["y"][:, :4], alone["y"], rtol=1e-4, atol=1e-5)
    assert "weight/distance/width" in alone


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_known(command):
    words = shlex.split(command)[1:]
    if words[0] == "t5":
        files = [w.removeprefix("--gin_file=") for w in words if w.startswith("--gin_file=")]
        assert files and all(gin_files.find_gin_file(file) for file in files)
        return
    args = vars(commands.parser().parse_args(words))
    for option, folder in (("synthesizer", "synthesizers"), ("size", "sizes"), ("run", "runs")):
        if words[0] == "train" and args.get(option):
            errors.check(option, args[option], gin_files.known(folder))


# A model of a few numbers, and one step.
SMALLER = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 11",
    "num_heads = 2",
    "d_kv = 3",
    "utils.run.sequence_length = {'inputs': 13, 'targets': 7}",
    "utils.run.batch_size = 2",
    "utils.run.train_steps = 1",
)


@pytest.mark.slow
def test_the_command_of_t5_trains(tmp_path):
    (command,) = (c for c in COMMANDS if c.startswith("mtf_synthesizer t5 "))
    words = shlex.split(command)[1:]
    words[1] = f"--model_dir={tmp_path}"
    words += [f"--gin_param={param}" for param in SMALLER]
    done = subprocess.run(
        [sys.executable, "-m", "mtf_synthesizer", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stderr.splitlines() if "Warning" not in line]
    assert any(line.startswith("step, tf_loss[") for line in lines)
    assert len(lines) < 20, done.stderr[-3000:]
    assert (tmp_path / "model.ckpt-1.index").exists()


@pytest.mark.slow
def test_the_python_of_the_readme_trains_and_evaluates(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    example = example.replace('"runs/rv_python"', repr(str(tmp_path / "rv")))
    short = f"steps=1, gin_params={SMALLER[:5]!r}"
    assert 'run="demo_finetune"' in example and "examples=64" in example
    example = example.replace("examples=64", "examples=2")
    example = example.replace('run="demo_finetune"', f'run="demo_finetune", {short}')
    imports, rest = example.split("\n\n", 1)  # in their order, in a process without others
    quick = f"import sys; sys.path.append({SUPPORT!r})\nimport quick_graphs; quick_graphs.install()"
    example = "\n".join((imports, quick, rest))
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "rv/model.ckpt-1.index").exists()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 180


def test_folders_named_in_the_map_exist():
    listed = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("| folder | contents |")[2]
    names = re.findall(r"^\| `([a-z_./]+)`", listed, re.MULTILINE)
    assert len(names) > 15
    for name in names:
        assert (ROOT / "mtf_synthesizer" / name).exists() or (ROOT / name).exists(), name


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "gin/README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_exist(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def neighbours(page):
    """The pages of docs/ that a page links to."""
    found = re.findall(r"\]\(([a-z0-9_]+\.md)(?:#[^)]*)?\)", page.read_text("utf-8"))
    return set(found) - {page.name, "index.md"}


def test_each_page_links_to_neighbours_and_is_linked():
    pages = {page.name: neighbours(page) for page in (ROOT / "docs").glob("*.md")}
    index = pages.pop("index.md")
    assert {name for name, links in pages.items() if len(links) < 2} == set()
    assert index - set().union(*pages.values()) == set()


def test_the_index_has_every_page():
    index = (ROOT / "docs/index.md").read_text("utf-8")
    listed = set(re.findall(r"\]\(([a-z0-9_]+\.md)\)", index))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
