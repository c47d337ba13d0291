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
    cost,
    demo,
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
from mtf_synthesizer.cli.parser import Parser, add


class Module(Protocol):
    """Interface of a command's module. Only `run` may load TensorFlow."""

    EXAMPLE: str

    def add_arguments(self, command: argparse.ArgumentParser, /) -> None:
        """Add the options of the command to its parser."""

    def run(self, args: argparse.Namespace, /) -> None:
        """Run the command; first check what needs no TensorFlow."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
      purpose: purpose of the command, shown in the help.
      module: module that defines the options and runs the command.
      goes_on: whether the same command resumes after an interruption.
    """

    purpose: str
    module: Module
    goes_on: bool = False


COMMANDS: Mapping[str, Command] = {
    "t5": Command("T5's own entry point, with exactly its flags", t5, goes_on=True),
    "train": Command("train a model, or go on where it stopped", train, goes_on=True),
    "evaluate": Command("evaluate a trained model on a task or mixture", evaluate),
    "predict": Command("decode a task, a mixture, a benchmark or a text", predict, goes_on=True),
    "checkpoints": Command("show, average and remove the checkpoints of a model", checkpoints),
    "export": Command("write a model as a SavedModel that reads and writes texts", export),
    "warm-start": Command("begin a model from one of T5's, or at another length", warm_start),
    "submit": Command("make the zip that a leaderboard wants of predictions", submit),
    "data": Command("prepare official files for training", data_commands),
    "cache": Command("tokenize large tasks once, by Apache Beam", cache),
    "compare": Command(
        "train and evaluate several synthesizers with several seeds", compare, goes_on=True
    ),
    "demo": Command("train and compare V, R and R+V on real text, in minutes", demo, goes_on=True),
    "bench": Command("measure time and memory of steps, rows side by side", bench),
    "cost": Command("count parameters and FLOPs of a model, by formula and graph", cost),
    "maps": Command("show what the attention of trained models looks like", maps),
    "report": Command("put results beside the paper's, in its tables", report),
    "list": Command("show the known synthesizers, sizes, runs or tasks", listing),
    "gin-path": Command("print the folder of the gin files, for --gin_location_prefix", gin_path),
}


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `command` of the result names the command."""
    top: argparse.ArgumentParser = Parser(
        prog="mtf_synthesizer",
        description="Synthesizer attention for Mesh-TensorFlow and T5.",
        epilog="`mtf_synthesizer COMMAND --help` shows the options of a command and an example.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        added = add(commands, name, command.purpose, command.module.EXAMPLE)
        command.module.add_arguments(added)
    return top
