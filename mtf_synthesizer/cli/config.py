"""The command `config`: its sub-commands, their options and their output."""

import argparse
import json
from collections.abc import Callable

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser, add_command
from mtf_synthesizer.config import bindings

_EXAMPLES = {
    "show": "mtf_synthesizer config show --model_dir runs/rv_verses",
    "diff": "mtf_synthesizer config diff runs/rv_verses runs/r_verses\n"
    "  mtf_synthesizer config diff sizes/tiny.gin sizes/mini.gin",
}
EXAMPLE = _EXAMPLES["show"]


def add_arguments(command: Parser) -> None:
    """Add the sub-commands; `config_command` of the parsed result names the sub-command."""
    commands = command.add_subparsers(dest="config_command", metavar="COMMAND", required=True)
    show = add_command(commands, "show", "Print the configuration of a model.", _EXAMPLES["show"])
    options.add_trained_model(show)
    diff = add_command(
        commands, "diff", "Print the differences of two configurations.", _EXAMPLES["diff"]
    )
    for name, metavar in (("first", "A"), ("second", "B")):
        diff.add_argument(name, metavar=metavar, help="Folder of a trained model, or a gin file.")
    for added in (show, diff):
        options.add_format(added, ["table", "json"])
        options.add_verbose(added)


def run(args: argparse.Namespace) -> None:
    """Run the sub-command.

    Raises:
      errors.UserError: a folder has no configuration, or a file can't be read.
    """
    _COMMANDS[args.config_command](args)


def _show(args: argparse.Namespace) -> None:
    values = bindings.of_place(args.model_dir)
    if args.format == "json":
        print(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        print("\n".join(f"{name} = {value}" for name, value in values.items()))


def _diff(args: argparse.Namespace) -> None:
    differences = bindings.differences(
        bindings.of_place(args.first), bindings.of_place(args.second)
    )
    if args.format == "json":
        print(json.dumps(differences, indent=2, ensure_ascii=False))
        return
    if not differences:
        print("no difference")
    for name, (first, second) in differences.items():
        print(f"{name}\n  - {first}\n  + {second}")


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"show": _show, "diff": _diff}
