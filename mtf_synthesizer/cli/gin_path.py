"""The command `gin-path`: its options and its run."""

import argparse

from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.config import gin_files

EXAMPLE = (
    "t5_mesh_transformer --gin_location_prefix=$(mtf_synthesizer gin-path) \\\n"
    "    --module_import=mtf_synthesizer.tasks --gin_file=synthesizers/rv.gin ..."
)


def add_arguments(command: Parser) -> None:
    """Add nothing: the command has no options."""


def run(args: argparse.Namespace) -> None:
    """Print the folder of gin files."""
    print(gin_files.gin_folder())
