"""The command `submit`: its options and its run."""

import argparse

from mtf_synthesizer.cli.options import add_verbose
from mtf_synthesizer.submissions import archive, leaderboards, prediction_files

EXAMPLE = (
    "mtf_synthesizer submit --benchmark glue --predictions runs/glue_predictions \\\n"
    "    --output runs/glue.zip"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `submit`."""
    add = command.add_argument
    add("--benchmark", required=True, help=f"one of {' '.join(leaderboards.NAMES)}")
    add(
        "--predictions",
        required=True,
        nargs="+",
        metavar="PATH",
        help="what `predict` wrote: files, or folders with files *.jsonl",
    )
    add("--output", required=True, help="the zip")
    add(
        "--invalid",
        action="append",
        default=[],
        metavar="LABEL",
        help="answer for decoded texts that are none, for all tasks that know it; or TASK=LABEL, "
        "as CoLA=acceptable; may be given several times",
    )
    add("--partial", action="store_true", help="leave out files without any prediction")
    add(
        "--mixed_checkpoints",
        action="store_true",
        help="take predictions of several checkpoints, where tasks have models of their own",
    )
    add("--overwrite", action="store_true", help="replace a zip that is there")
    add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Write the zip and print its contents. Needs no TensorFlow.

    Raises:
      errors.UserError: the zip exists, or predictions are missing or invalid.
    """
    benchmark = leaderboards.find(args.benchmark)
    archive.check_free(args.output, args.overwrite)  # before many predictions are read
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
