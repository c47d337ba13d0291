"""The command `list`: its options and its run."""

import argparse

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
    options.add_modules(command)
    options.add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Print names; only the names of tasks need TensorFlow."""
    if args.kind == "tasks":
        _print_tasks(args)
        return
    for folder in _NAMES[args.kind]:
        print(f"{folder}: {' '.join(gin_files.known(folder))}")


def _print_tasks(args: argparse.Namespace) -> None:
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.upstream import session, tasks

    session.import_modules([*options.read_modules(args), tasks.T5_TASKS])
    print("\n".join(tasks.known_tasks()))
