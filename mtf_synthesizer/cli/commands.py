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
    completion,
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
    score,
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
      goal: goal that the command serves: a heading of the help.
      purpose: purpose of the command: a sentence of the help.
      module: module that defines the options and runs the command.
      resumes: whether the same command resumes after an interruption.
    """

    goal: str
    purpose: str
    module: Module
    resumes: bool = False


_TRAIN, _USE, _STUDY, _DATA, _LOOK_UP = (
    "train a model",
    "use a trained model",
    "study models",
    "prepare data",
    "look up names",
)
COMMANDS: Mapping[str, Command] = {
    "train": Command(_TRAIN, "Train a model, or resume its training.", train, resumes=True),
    "warm-start": Command(
        _TRAIN, "Make a model from a T5 checkpoint, or from a model of another length.", warm_start
    ),
    "compare": Command(
        _TRAIN, "Train and evaluate several synthesizers with several seeds.", compare, resumes=True
    ),
    "demo": Command(
        _TRAIN, "Train and compare V, R and R+V on real text, in minutes.", demo, resumes=True
    ),
    "t5": Command(_TRAIN, "Run T5's own entry point with exactly its flags.", t5, resumes=True),
    "evaluate": Command(_USE, "Evaluate a trained model on a task or mixture.", evaluate),
    "predict": Command(
        _USE, "Decode a task, a mixture, a benchmark or a text.", predict, resumes=True
    ),
    "score": Command(
        _USE, "Compute the log-likelihood of given targets, or choose the likeliest.", score
    ),
    "checkpoints": Command(
        _USE, "List, average or remove the checkpoints of a model.", checkpoints
    ),
    "export": Command(_USE, "Export a model for TensorFlow Serving or for transformers.", export),
    "submit": Command(_USE, "Write the zip of predictions that a leaderboard accepts.", submit),
    "maps": Command(_STUDY, "Draw the attention of trained models.", maps),
    "cost": Command(_STUDY, "Count parameters and FLOPs of a model, by formula and graph.", cost),
    "bench": Command(_STUDY, "Measure time and memory of steps, rows side by side.", bench),
    "report": Command(_STUDY, "Write the paper's tables with our results beside them.", report),
    "data": Command(
        _DATA, "List and prepare official files, and train vocabularies.", data_commands
    ),
    "cache": Command(_DATA, "Tokenize large tasks once, with Apache Beam.", cache),
    "list": Command(
        _LOOK_UP, "List the known synthesizers, sizes, runs, experiments or tasks.", listing
    ),
    "completion": Command(
        _LOOK_UP, "Print the shell code that completes commands and options.", completion
    ),
    "gin-path": Command(
        _LOOK_UP, "Print the folder of the gin files, for --gin_location_prefix.", gin_path
    ),
    "config": Command(
        _LOOK_UP, "Print the configuration of a model, or the differences of two.", config
    ),
    "env": Command(
        _LOOK_UP, "Print versions, devices, folders and variables, for bug reports.", env
    ),
}


def parser() -> Parser:
    """Return the parser of all commands; `command` of a parsed line names its command."""
    top = Parser(
        prog="mtf_synthesizer",
        usage="mtf_synthesizer [--help] [--version] COMMAND ...",
        description=f"Synthesizer attention for Mesh-TensorFlow and T5.\n\n{_overview()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="`mtf_synthesizer COMMAND --help` shows the options of a command and an example.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", required=True, help=argparse.SUPPRESS, prog=top.prog
    )
    for name, command in COMMANDS.items():
        added = add_command(commands, name, command.purpose, command.module.EXAMPLE)
        command.module.add_arguments(added)
    return top


def _overview() -> str:
    """Return the commands under the goals that they serve."""
    width = max(map(len, COMMANDS))
    goals: dict[str, list[str]] = {}
    for name, command in COMMANDS.items():
        goals.setdefault(command.goal, []).append(f"  {name:<{width}}  {command.purpose}")
    return "\n\n".join("\n".join([f"{goal}:", *lines]) for goal, lines in goals.items())
