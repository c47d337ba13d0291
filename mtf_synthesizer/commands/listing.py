"""The command `list`: its options and what it does."""

import argparse

from mtf_synthesizer import names, quiet
from mtf_synthesizer.shared_arguments import add_modules, add_verbose, modules

EXAMPLE = "mtf_synthesizer list synthesizers"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `list`."""
    choices = ["all", *names.KINDS, "tasks"]
    command.add_argument("what", nargs="?", default="all", choices=choices)
    add_modules(command)
    add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Prints names; TensorFlow is loaded only for those of tasks."""
    for folder in names.beside(args.what):
        print(f"{folder}: {' '.join(names.known(folder))}")
    if args.what == "tasks":
        quiet.load_tensorflow(args.verbose)
        from mtf_synthesizer import stock

        stock.import_modules([*modules(args), stock.T5_TASKS])
        print("\n".join(stock.known_tasks()))
