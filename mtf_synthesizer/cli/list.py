"""The command `list`: its options and its run."""

import argparse

from mtf_synthesizer.cli.options import add_modules, add_verbose, modules
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.runtime import loading

EXAMPLE = "mtf_synthesizer list synthesizers"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `list`."""
    choices = ["all", *gin_files.KINDS, "tasks"]
    command.add_argument("what", nargs="?", default="all", choices=choices)
    add_modules(command)
    add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Print names; only names of tasks need TensorFlow."""
    for folder in gin_files.folders_of(args.what):
        print(f"{folder}: {' '.join(gin_files.known(folder))}")
    if args.what == "tasks":
        loading.load_tensorflow(args.verbose)
        from mtf_synthesizer.upstream import session, tasks

        session.import_modules([*modules(args), tasks.T5_TASKS])
        print("\n".join(tasks.known_tasks()))
