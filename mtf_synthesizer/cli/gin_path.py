"""The command `gin-path`: its options and what it does."""

import argparse

from mtf_synthesizer.config import gin_files

EXAMPLE = (
    "t5_mesh_transformer --gin_location_prefix=$(mtf_synthesizer gin-path) \\\n"
    "    --module_import=mtf_synthesizer.tasks --gin_file=synthesizers/rv.gin ..."
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> None:
    """Prints the folder."""
    print(gin_files.gin_folder())
