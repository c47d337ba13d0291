"""The command `evaluate`: its options and its run."""

import argparse
import dataclasses
import sys

from mtf_synthesizer import errors
from mtf_synthesizer.cli import decoding, options
from mtf_synthesizer.cli.own_data import add_own_data, read_own_data
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.config.request import for_model, named_task
from mtf_synthesizer.data import own_files
from mtf_synthesizer.inference import report as inference_report
from mtf_synthesizer.model_folder import own_data
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.submissions import leaderboards

EXAMPLE = (
    "mtf_synthesizer evaluate --model_dir runs/rv_verses \\\n"
    "    --task synthesizer_verses_v001 --split validation"
)


def add_arguments(command: Parser) -> None:
    """Add the options of `evaluate`."""
    options.add_trained_model(command)
    options.add_checkpoint(
        command,
        "latest",
        "all",
        "best (the checkpoint that `train --evaluate_every` keeps apart, else the best step of the "
        "task in the report of `evaluate --split validation --checkpoint all`)",
    )
    command.accept("--checkpoints", "--checkpoint")
    options.add_task(command, default="Default: the task of the training.")
    command.group("data").add_argument(
        "--benchmark",
        metavar="NAME",
        help="Evaluate all tasks of a benchmark, and average their scores as its leaderboard does. "
        f"One of: {' '.join(leaderboards.NAMES)}. Default: --task.",
    )
    add_own_data(command, of_model=True)
    options.add_split(command, "validation", "Split to evaluate on.")
    options.add_examples(command)
    decoding.add_decoding(command)
    command.group("decoding").add_argument(
        "--no_decode",
        dest="is_decoded",
        action="store_false",
        help="Report only the loss of the true targets, without decoding and metrics.",
    )
    command.group("output").add_argument(
        "--output",
        metavar="FILE",
        help="JSON file of the report. Default: eval_<task>_<split>.json in the model folder.",
    )
    options.add_format(command)
    options.add_device(command)
    options.add_precision(command)
    options.add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Evaluate, write the report and print it.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
    """
    folder = ModelFolder.at(args.model_dir)
    benchmark = leaderboards.find(args.benchmark) if args.benchmark else None
    request = dataclasses.replace(
        options.read_request(args, decoding.read_bindings(args), options.device_files(args)),
        task=benchmark.name if benchmark else args.task,
        batch_size=args.batch_size,
        own_data=read_own_data(args),
    )
    if benchmark and (args.task or request.own_data):
        raise errors.UserError(
            f"--benchmark {args.benchmark}: it has tasks of its own. Leave --task and --data out"
        )
    # Needs no TensorFlow, so a mistake is reported at once.
    configuration, task = for_model(folder, request), named_task(folder, request)
    folder.choose(args.checkpoint, task)
    if task == own_data.TASK and configuration.own_data:
        own_files.check(configuration.own_data, args.split)
    path = inference_report.check_output(folder, task, args.split, args.output)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    options.choose_device(args)
    from mtf_synthesizer.inference import evaluate

    evaluate_options = evaluate.EvaluateOptions(
        split=args.split,
        benchmark=benchmark,
        checkpoints=args.checkpoint,
        examples=args.examples,
        decode=args.is_decoded,
        output=args.output,
        verbose=args.verbose,
    )
    report = evaluate.evaluate(folder, request, evaluate_options)
    options.print_result(args, inference_report.describe(report), report)
    print(f"written to {path}", file=sys.stderr if args.format == "json" else sys.stdout)
