"""The command `predict`: its options and its run."""

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from mtf_synthesizer import errors
from mtf_synthesizer.cli import decoding, options
from mtf_synthesizer.cli.own_data import add_own_data, read_own_data
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import listed
from mtf_synthesizer.config.request import Request, data_of_model, for_model, named_task
from mtf_synthesizer.data import own_files
from mtf_synthesizer.files import locks, saving
from mtf_synthesizer.inference import text_lines
from mtf_synthesizer.model_folder import own_data
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.submissions import leaderboards

EXAMPLE = (
    "mtf_synthesizer predict --model_dir runs/rv_verses --split test \\\n"
    "    --task synthesizer_testament_v001 --output runs/testament.jsonl\n"
    "  mtf_synthesizer predict --model_dir runs/rv_glue --benchmark glue \\\n"
    "    --tfds_data_dir data --output runs/glue_predictions\n"
    "  mtf_synthesizer predict --model_dir runs/rv_verses --input in.txt --output out.txt"
)

_SPLIT = "test"
# Option that does not apply to --input -> the reason and the fix.
_TASK_OPTIONS = {
    "examples": "only examples of a task are counted. Give --input fewer lines",
    "split": "--input has no splits. Leave --split out",
    "tfds_data_dir": "--input needs no prepared data. Leave --tfds_data_dir out",
}


def add_arguments(command: Parser) -> None:
    """Add the options of `predict`."""
    options.add_trained_model(command)
    options.add_checkpoint(command, "latest", "best (of the task, as in `evaluate`)")
    source = command.group("data").add_mutually_exclusive_group()
    source.add_argument(
        "--task", help="SeqIO task or mixture to decode. Default: the task of the training."
    )
    source.add_argument(
        "--benchmark",
        metavar="NAME",
        help=f"Decode all tasks of a benchmark. One of: {' '.join(leaderboards.NAMES)}.",
    )
    source.add_argument(
        "--input",
        metavar="FILE",
        help="Decode each line of a text file; - reads from a pipe.",
    )
    add = command.group("data").add_argument
    add(
        "--tasks",
        type=listed,
        default=[],
        metavar="TASK,TASK",
        help="Decode only these tasks of the benchmark, for example CoLA,RTE or glue_cola_v002. "
        "Default: all tasks.",
    )
    add_own_data(command, of_model=True)
    add("--split", help=f"Split to decode. Default: {_SPLIT}.")
    options.add_examples(command)
    command.group("output").add_argument(
        "--output",
        required=True,
        metavar="PATH",
        help="For --task a file with a JSON object per example. For --benchmark a folder with a "
        "file per task; the same command skips finished tasks. For --input a file with a line per "
        "line; the same command resumes it. - prints the results of --task and --input.",
    )
    decoding.add_decoding(command)
    decoding.add_sequences(command)
    options.add_device(command)
    options.add_precision(command)
    options.add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Decode, and print the number of predictions.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
    """
    folder = ModelFolder.at(args.model_dir)
    request = dataclasses.replace(
        options.read_request(args, decoding.read_bindings(args), options.device_files(args)),
        task=args.task,
        batch_size=args.batch_size,
        own_data=read_own_data(args),
    )
    for_model(folder, request)  # needs no TensorFlow, so a mistake is reported at once
    folder.choose(args.checkpoint, _task(args, folder, request))
    if args.tasks and not args.benchmark:
        raise errors.UserError(
            f"--tasks {','.join(args.tasks)}: only a benchmark has tasks to choose from. Give "
            "--benchmark, or --task for one task"
        )
    if args.input is not None:
        _predict_lines(args, folder, request)
    else:
        _predict_examples(args, folder, request)


def _task(args: argparse.Namespace, folder: ModelFolder, request: Request) -> str | None:
    """Return the task to decode; None for a benchmark or a text.

    Raises:
      errors.UserError: two sources are given, or a file of the user's own can't be read.
    """
    if args.benchmark or args.input is not None:
        if request.own_data is not None:
            raise errors.UserError(
                "--data: --benchmark and --input have their own examples. Give one of the three"
            )
        return None
    task = named_task(folder, request)
    data = data_of_model(folder, request)
    if task == own_data.TASK and data is not None:
        own_files.check(data, args.split or _SPLIT, needs_targets=False)
    return task


def _predict_examples(args: argparse.Namespace, folder: ModelFolder, request: Request) -> None:
    benchmark = leaderboards.find(args.benchmark) if args.benchmark else None
    if benchmark:
        benchmark.tasks(args.tasks)
        _check_benchmark_output(args)
    elif args.output != text_lines.STANDARD:
        saving.check_file(args.output)
    _check_is_free(args.output)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    options.choose_device(args)
    from mtf_synthesizer.inference import predict, predict_benchmark

    predict_options = predict.PredictOptions(
        output=args.output,
        split=args.split or _SPLIT,
        checkpoint=args.checkpoint,
        examples=args.examples,
        sequences=args.num_return_sequences,
        scores=args.scores,
        seed=args.seed,
        verbose=args.verbose,
    )
    if benchmark:
        result = predict_benchmark.predict_benchmark(
            folder, request, benchmark, predict_options, tasks=args.tasks
        )
    else:
        result = predict.predict(folder, request, predict_options)
    print(_summary(result, args.output), file=_messages(args.output))


def _check_benchmark_output(args: argparse.Namespace) -> None:
    """Raise a UserError unless the files of a benchmark can be written."""
    if args.output == text_lines.STANDARD:
        raise errors.UserError(
            f"--output -: --benchmark {args.benchmark} writes a file for each task. Give a folder"
        )
    saving.check_folder(args.output)


def _check_is_free(output: str) -> None:
    if output != text_lines.STANDARD:
        locks.check_output_is_free(output)


def _summary(result: Mapping[str, Any], output: str) -> str:
    summary = f"{result['examples']} predictions of step {result['step']} written to {output}"
    from mtf_synthesizer.inference import cut_inputs

    parts = (cut_inputs.describe(result["cut"], "example"), result["unknown"].describe("example"))
    return "; ".join((summary, *filter(None, parts)))


def _messages(output: str) -> TextIO:
    """Return the stream of messages: standard error where the results go to standard output."""
    return sys.stderr if output == text_lines.STANDARD else sys.stdout


def _predict_lines(args: argparse.Namespace, folder: ModelFolder, request: Request) -> None:
    for option, reason in _TASK_OPTIONS.items():
        value = getattr(args, option)
        if value is not None:
            raise errors.UserError(f"--{option} {value}: {reason}")
    text_lines.check_output(args.output)
    _check_is_free(args.output)
    with text_lines.opened(args.input) as lines:
        precision.choose_for_command(args.matmul_precision)
        loading.load_tensorflow(args.verbose)
        options.choose_device(args)
        from mtf_synthesizer.inference import predict, predict_lines

        predict_options = predict.PredictOptions(
            output=args.output,
            checkpoint=args.checkpoint,
            sequences=args.num_return_sequences,
            scores=args.scores,
            seed=args.seed,
            verbose=args.verbose,
        )
        result = predict_lines.predict_lines(folder, request, lines, predict_options)
    print(predict_lines.describe(result), file=_messages(args.output))
