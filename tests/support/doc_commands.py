"""Commands of pages of docs/, run in this process at the smallest size."""

import pathlib
import re
import shlex

from mtf_synthesizer.cli import main as cli

DOCS = pathlib.Path(__file__).parent.parent.parent / "docs"
BINDINGS = ("d_model = 8", "num_layers = 1", "d_ff = 11", "num_heads = 2", "d_kv = 3")
SMALLEST = [word for binding in BINDINGS for word in ("--gin_param", binding)]


def of_page(page):
    """The commands of a page: lists of words without the program's name."""
    text = (DOCS / page).read_text("utf-8")
    lines = re.findall(r"^    mtf_synthesizer (.+)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def run(words, *more):
    """Run a command in the working directory, with further options, which win."""
    assert cli.main([*words, *more]) == 0, shlex.join(words)
