"""The command `score`: its options and its run."""

import argparse
import contextlib
import dataclasses
import sys

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import listed
from mtf_synthesizer.config.request import for_model
from mtf_synthesizer.files import locks, saving
from mtf_synthesizer.inference import targets, text_lines
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision

EXAMPLE = (
    "mtf_synthesizer score --model_dir runs/rv_verses --input pairs.tsv --output scores.jsonl\n"
    "  mtf_synthesizer score --model_dir runs/rv_verses --input in.txt --options old,new \\\n"
    "    --output -"
)


def add_arguments(command: Parser) -> None:
    """Add the options of `score`."""
    options.add_trained_model(command)
    options.add_checkpoint(command, "latest", "best")
    add = command.group("data").add_argument
    add(
        "--input",
        required=True,
        metavar="FILE",
        help="Text file; - reads from a pipe. A line has inputs and target, separated by a tab; "
        "several targets are options, of which the likeliest is chosen. A language model also "
        "scores lines of one column.",
    )
    sources = command.group("data").add_mutually_exclusive_group()
    sources.add_argument(
        "--targets", metavar="FILE", help="File with the target of each line of --input."
    )
    sources.add_argument(
        "--options",
        type=listed,
        metavar="TEXT,TEXT",
        help="Options to choose from, the same for each line of --input.",
    )
    add(
        "--per_token",
        action="store_true",
        help="Choose by the mean log-likelihood of a token. Default: by the sum.",
    )
    options.add_batch_size(command, "Targets in a batch. Default: the batch size of the training.")
    add = command.group("output").add_argument
    add(
        "--each_token",
        action="store_true",
        help="Write the log-likelihood of each token, too.",
    )
    add(
        "--output",
        required=True,
        metavar="FILE",
        help="File to write, with a JSON object for each line; - prints them.",
    )
    options.add_device(command)
    options.add_precision(command)
    options.add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Score the targets and print a summary.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
    """
    folder = ModelFolder.at(args.model_dir)
    changes = options.read_request(args, files=options.device_files(args))
    request = dataclasses.replace(changes, batch_size=args.batch_size)
    for_model(folder, request)  # needs no TensorFlow, so a mistake is reported at once
    folder.choose(args.checkpoint)
    asked = _read(args)
    to_file = args.output != text_lines.STANDARD
    if to_file:
        saving.check_file(args.output)
        locks.check_output_is_free(args.output)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    options.choose_device(args)
    from mtf_synthesizer.inference import score

    score_options = score.ScoreOptions(
        output=args.output,
        checkpoint=args.checkpoint,
        ranks_by_token=args.per_token,
        each_token=args.each_token,
        verbose=args.verbose,
    )
    with text_lines.hold_output(args.output):
        result = score.score(folder, request, asked, score_options)
    print(score.describe(result), file=sys.stdout if to_file else sys.stderr)


def _read(args: argparse.Namespace) -> list[targets.GivenTargets]:
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(text_lines.opened(args.input))
        if args.targets is None:
            return targets.read_table(lines, args.options or ())
        if text_lines.STANDARD in (args.input, args.targets):
            raise errors.UserError("--targets: needs two files. Give a file for --input, too")
        answers = stack.enter_context(text_lines.opened(args.targets, "--targets"))
        return targets.read_two(lines, answers)
