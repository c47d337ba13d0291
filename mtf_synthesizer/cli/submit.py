"""The command `submit`: its options and its run."""

import argparse

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several
from mtf_synthesizer.submissions import archive, leaderboards, prediction_files

EXAMPLE = (
    "mtf_synthesizer submit --benchmark glue --predictions runs/glue_predictions \\\n"
    "    --output runs/glue.zip"
)


def add_arguments(command: Parser) -> None:
    """Add the options of `submit`."""
    options.add_benchmark(command, leaderboards.NAMES)
    add = command.group("data").add_argument
    add(
        "--predictions",
        required=True,
        nargs="+",
        action=Several,
        metavar="PATH",
        help="Files that `predict` has written, or folders with such files (*.jsonl). May be given "
        "several times.",
    )
    add(
        "--invalid",
        action=Several,
        default=[],
        metavar="LABEL,LABEL",
        help="Label for decoded texts that are not labels, in all tasks that have this label. "
        "TASK=LABEL, for example CoLA=acceptable, sets it for one task. Default: such texts are "
        "an error.",
    )
    add(
        "--partial",
        action="store_true",
        help="Leave out the files of tasks without predictions.",
    )
    add(
        "--mixed_checkpoints",
        action="store_true",
        help="Accept predictions of several checkpoints, when each task has its own model.",
    )
    command.group("output").add_argument(
        "--output", required=True, metavar="FILE", help="Zip file to write."
    )
    options.add_overwrite(command, "an existing zip")
    options.add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Write the zip and print its contents. Needs no TensorFlow.

    Raises:
      errors.UserError: the zip exists, or predictions are missing or invalid.
    """
    benchmark = leaderboards.find(args.benchmark)
    archive.check_free(args.output, args.overwrite)  # before reading many predictions
    report = archive.write(
        args.output,
        prediction_files.read(args.predictions),
        benchmark,
        invalid=args.invalid,
        partial=args.partial,
        mixed_checkpoints=args.mixed_checkpoints,
        overwrite=args.overwrite,
    )
    print(report)
