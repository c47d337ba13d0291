"""The command `list`: its options and its run."""

import argparse
from collections.abc import Mapping

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.runtime import loading

EXAMPLE = "mtf_synthesizer list synthesizers"
# Kind of names -> folders of gin/ whose names are printed.
_NAMES = {
    "all": list(gin_files.KINDS),
    **{folder: gin_files.accepted_folders(folder) for folder in gin_files.KINDS},
}


def add_arguments(command: Parser) -> None:
    """Add the options of `list`."""
    choices = [*_NAMES, "tasks"]
    command.add_argument(
        "kind",
        nargs="?",
        default="all",
        choices=choices,
        help="Kind of names to print; all is every kind but tasks. Default: %(default)s.",
    )
    options.add_format(command)
    options.add_modules(command)
    options.add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Print names with a line of description each; only tasks need TensorFlow."""
    names = {
        folder: {name: gin_files.description(folder, name) for name in gin_files.known(folder)}
        for folder in _NAMES.get(args.kind, ())
    }
    if args.kind == "tasks":
        names["tasks"] = _tasks(args)
    options.print_result(
        args, "\n\n".join(_table(kind, entries) for kind, entries in names.items()), names
    )


def _tasks(args: argparse.Namespace) -> dict[str, str]:
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.upstream import session, tasks

    session.import_modules([*options.read_modules(args), tasks.T5_TASKS])
    return {name: tasks.description(name) for name in tasks.known_tasks()}


def _table(kind: str, names: Mapping[str, str]) -> str:
    width = max(map(len, names), default=0)
    return "\n".join([f"{kind}:", *(f"  {name:<{width}}  {text}" for name, text in names.items())])
