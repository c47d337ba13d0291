"""The command `demo`: its options and its run."""

import argparse

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.files import locks, saving
from mtf_synthesizer.runtime import loading, precision, signals
from mtf_synthesizer.training import run_record

EXAMPLE = "mtf_synthesizer demo"


def add_arguments(command: Parser) -> None:
    """Add the options of `demo`."""
    command.group("output").add_argument(
        "--output",
        default="runs/demo",
        metavar="DIR",
        help="Folder of the models and results. Default: %(default)s.",
    )
    options.add_precision(command)
    options.add_verbose(command)


@signals.ends_the_process()
def run(args: argparse.Namespace) -> None:
    """Train and compare the models, then write and print the results.

    Raises:
      errors.UserError: the folder can't be written to, or holds another demo.
      signals.Terminated: SIGTERM ended the training; its progress is saved.
    """
    saving.check_folder(args.output)
    locks.check_output_is_free(args.output)
    kept = run_record.kept_precision_below(args.output)
    precision.choose_for_command(args.matmul_precision, kept)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies.demo import demo

    with locks.hold_output(args.output):
        demo.run_demo(args.output)
