"""Tutorial pages: their commands exist; `make check-tutorials` runs them."""

import shlex

import pytest
import tutorials

from mtf_synthesizer.cli.commands import parser


@pytest.mark.parametrize("page", tutorials.TUTORIALS)
def test_commands_parse_and_are_shortened(page):
    ours = [c for c in tutorials.commands(page) if c.startswith("mtf_synthesizer ")]
    assert ours
    for command in ours:
        args = parser().parse_args(shlex.split(tutorials.shortened(command, 3))[1:])
        if args.command == "train":
            assert args.steps == 3
