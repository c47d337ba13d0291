"""The command `completion`: shell code, and the completion of a command line."""

from __future__ import annotations

import argparse
import os
from types import ModuleType

from mtf_synthesizer import errors
from mtf_synthesizer.cli.parser import Parser

EXAMPLE = "mtf_synthesizer completion bash"
_PROGRAM = "mtf_synthesizer"
_ASKED = "_ARGCOMPLETE"  # the shell code sets it when a key is pressed


def add_arguments(command: Parser) -> None:
    """Add the options of `completion`."""
    command.add_argument(
        "shell",
        choices=["bash", "zsh", "fish"],
        help="Shell that runs the code. In ~/.bashrc: eval "
        f'"$({_PROGRAM} completion bash)". In ~/.zshrc the same with zsh, after compinit. In fish: '
        f"{_PROGRAM} completion fish | source.",
    )


def run(args: argparse.Namespace) -> None:
    """Print the shell code.

    Raises:
      errors.UserError: argcomplete is not installed.
    """
    print(_library().shellcode([_PROGRAM], True, args.shell))


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end the process, if the shell asks to complete a command line."""
    if _ASKED in os.environ:
        _library().autocomplete(parser)


def _library() -> ModuleType:
    try:
        import argcomplete
    except ModuleNotFoundError as error:
        raise errors.UserError(
            "completion: argcomplete is not installed. Run pip install argcomplete"
        ) from error
    return argcomplete
