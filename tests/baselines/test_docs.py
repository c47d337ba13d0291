"""docs/baselines.md knows every baseline, and its commands are known."""

import pathlib
import re
import shlex

from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.config import gin_files

DOCS = (pathlib.Path(__file__).resolve().parent.parent.parent / "docs/baselines.md").read_text(
    "utf-8"
)


def test_every_baseline_is_explained():
    explained = re.findall(r"^\| `([\w-]+)` \|", DOCS, re.MULTILINE)
    assert sorted(explained) == gin_files.known("baselines")
    assert all(f"**`{name}`" in DOCS or f"`{name}`**" in DOCS for name in explained)


def test_the_documented_commands_are_known():
    commands = re.findall(r"^    mtf_synthesizer (.+)$", DOCS, re.MULTILINE)
    parsed = [parser().parse_args(shlex.split(each)) for each in commands]
    assert [each.command for each in parsed] == [
        "train",
        "compare",
        "cost",
        "bench",
        "train",
        "train",
    ]
