"""The command `config`: its sub-commands, their options and their output."""

import argparse
import json
from collections.abc import Callable

from mtf_synthesizer.cli import parser
from mtf_synthesizer.cli.options import add_verbose
from mtf_synthesizer.config import bindings

_EXAMPLES = {
    "show": "mtf_synthesizer config show --model_dir runs/rv_verses",
    "diff": "mtf_synthesizer config diff runs/rv_verses runs/r_verses\n"
    "  mtf_synthesizer config diff sizes/tiny.gin sizes/mini.gin",
}
EXAMPLE = _EXAMPLES["show"]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the sub-commands; `config_command` of the parsed result names the sub-command."""
    commands = command.add_subparsers(dest="config_command", metavar="COMMAND", required=True)
    show = parser.add(commands, "show", "print the configuration of a model", _EXAMPLES["show"])
    show.add_argument("--model_dir", required=True, help="folder of a trained model")
    diff = parser.add(
        commands, "diff", "print the differences of two configurations", _EXAMPLES["diff"]
    )
    diff.add_argument("first", metavar="A", help="folder of a trained model, or a gin file")
    diff.add_argument("second", metavar="B", help="the same")
    for added in (show, diff):
        added.add_argument("--format", default="text", choices=["text", "json"])
        add_verbose(added)


def run(args: argparse.Namespace) -> None:
    """Run the sub-command.

    Raises:
      errors.UserError: a folder has no configuration, or a file can't be read.
    """
    _COMMANDS[args.config_command](args)


def _show(args: argparse.Namespace) -> None:
    found = bindings.of_place(args.model_dir)
    if args.format == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n".join(f"{name} = {value}" for name, value in found.items()))


def _diff(args: argparse.Namespace) -> None:
    found = bindings.differences(bindings.of_place(args.first), bindings.of_place(args.second))
    if args.format == "json":
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        print("no difference")
    for name, (first, second) in found.items() if args.format == "text" else ():
        print(f"{name}\n  - {first}\n  + {second}")


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"show": _show, "diff": _diff}
