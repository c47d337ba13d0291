"""The commands: their purposes, and the modules that define and run them."""

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Protocol

from mtf_synthesizer import __version__
from mtf_synthesizer.cli import (
    bench,
    cache,
    checkpoints,
    compare,
    config,
    cost,
    demo,
    env,
    evaluate,
    export,
    gin_path,
    maps,
    predict,
    report,
    submit,
    t5,
    train,
    warm_start,
)
from mtf_synthesizer.cli import data as data_commands
from mtf_synthesizer.cli import list as listing
from mtf_synthesizer.cli.parser import Parser, add_command


class Module(Protocol):
    """Interface of a command's module. Only `run` may load TensorFlow."""

    EXAMPLE: str

    def add_arguments(self, command: Parser, /) -> None:
        """Add the options of the command to its parser."""

    def run(self, args: argparse.Namespace, /) -> None:
        """Run the command; first check what needs no TensorFlow."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
      purpose: purpose of the command: a sentence of the help.
      module: module that defines the options and runs the command.
      resumes: whether the same command resumes after an interruption.
    """

    purpose: str
    module: Module
    resumes: bool = False


COMMANDS: Mapping[str, Command] = {
    "t5": Command("Run T5's own entry point with exactly its flags.", t5, resumes=True),
    "train": Command("Train a model, or resume its training.", train, resumes=True),
    "evaluate": Command("Evaluate a trained model on a task or mixture.", evaluate),
    "predict": Command("Decode a task, a mixture, a benchmark or a text.", predict, resumes=True),
    "checkpoints": Command("List, average or remove the checkpoints of a model.", checkpoints),
    "export": Command("Export a model for TensorFlow Serving or for transformers.", export),
    "warm-start": Command(
        "Make a model from a T5 checkpoint, or from a model of another length.", warm_start
    ),
    "submit": Command("Write the zip of predictions that a leaderboard accepts.", submit),
    "data": Command("List and prepare official files, and train vocabularies.", data_commands),
    "cache": Command("Tokenize large tasks once, with Apache Beam.", cache),
    "compare": Command(
        "Train and evaluate several synthesizers with several seeds.", compare, resumes=True
    ),
    "demo": Command("Train and compare V, R and R+V on real text, in minutes.", demo, resumes=True),
    "bench": Command("Measure time and memory of steps, rows side by side.", bench),
    "cost": Command("Count parameters and FLOPs of a model, by formula and graph.", cost),
    "maps": Command("Draw the attention of trained models.", maps),
    "report": Command("Write the paper's tables with our results beside them.", report),
    "config": Command("Print the configuration of a model, or the differences of two.", config),
    "env": Command("Print versions, devices, folders and variables, for bug reports.", env),
    "list": Command("List the known synthesizers, sizes, runs, experiments or tasks.", listing),
    "gin-path": Command("Print the folder of the gin files, for --gin_location_prefix.", gin_path),
}


def parser() -> Parser:
    """Return the parser of all commands; `command` of a parsed line names its command."""
    top = Parser(
        prog="mtf_synthesizer",
        description="Synthesizer attention for Mesh-TensorFlow and T5.",
        epilog="`mtf_synthesizer COMMAND --help` shows the options of a command and an example.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        added = add_command(commands, name, command.purpose, command.module.EXAMPLE)
        command.module.add_arguments(added)
    return top
