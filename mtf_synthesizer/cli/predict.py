"""The command `predict`: its options and its run."""

import argparse

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import (
    add_configuration,
    add_examples,
    add_precision,
    listed,
    of_model,
)
from mtf_synthesizer.config.request import Request, for_model
from mtf_synthesizer.files import locks, saving
from mtf_synthesizer.inference import text_lines
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
# Options that do not apply to --input, with reasons.
_OF_A_TASK = {
    "examples": "counts those of a task: give --input fewer lines",
    "split": "is one of a task: leave it out, --input has none",
    "tfds_data_dir": "has the data of a task: leave it out, --input is all that is read",
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `predict`."""
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", help="seqio task or mixture")
    what.add_argument("--benchmark", help=f"all tasks of one of {' '.join(leaderboards.NAMES)}")
    what.add_argument("--input", metavar="FILE", help="each line of a text file, or of - (a pipe)")
    add(
        "--tasks",
        type=listed,
        default=[],
        metavar="TASK,TASK",
        help="only these of the benchmark's, as CoLA,RTE or glue_cola_v002",
    )
    add("--split", help=f"default: {_SPLIT}")
    add(
        "--output",
        required=True,
        help="file, one JSON object per example; of a benchmark a folder with a file for each "
        "task, in which the same command goes on with the tasks that have none; of --input a file "
        "with a line for each, which the same command goes on with",
    )
    add(
        "--checkpoint",
        default="latest",
        help="latest, a step, or best, as of `evaluate` (default: %(default)s)",
    )
    add_examples(command)
    add_precision(command)
    add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Decode, and print the number of predictions.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
    """
    folder, request = ModelFolder.at(args.model_dir), of_model(args, args.task)
    for_model(folder, request)  # without TensorFlow, so mistakes are reported at once
    folder.choose(args.checkpoint, args.task)
    if args.tasks and not args.benchmark:
        raise errors.UserError("--tasks chooses from a benchmark: give --benchmark, or one --task")
    if args.input is not None:
        _predict_lines(args, folder, request)
    else:
        _predict_examples(args, folder, request)


def _predict_examples(args: argparse.Namespace, folder: ModelFolder, request: Request) -> None:
    benchmark = leaderboards.find(args.benchmark) if args.benchmark else None
    if benchmark:
        benchmark.tasks(args.tasks)
        saving.check_folder(args.output)
    else:
        saving.check_file(args.output)
    locks.check_output_is_free(args.output)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.inference import predict, predict_benchmark

    options = predict.PredictOptions(
        output=args.output,
        split=args.split or _SPLIT,
        checkpoint=args.checkpoint,
        examples=args.examples,
        verbose=args.verbose,
    )
    if benchmark:
        result = predict_benchmark.predict_benchmark(
            folder, request, benchmark, options, tasks=args.tasks
        )
    else:
        result = predict.predict(folder, request, options)
    print(f"{result['examples']} predictions of step {result['step']} written to {args.output}")


def _predict_lines(args: argparse.Namespace, folder: ModelFolder, request: Request) -> None:
    for option, why in _OF_A_TASK.items():
        if getattr(args, option) is not None:
            raise errors.UserError(f"--{option} {why}")
    text_lines.check_output(args.output)
    locks.check_output_is_free(args.output)
    with text_lines.opened(args.input) as lines:
        precision.choose_for_command(args.matmul_precision)
        loading.load_tensorflow(args.verbose)
        from mtf_synthesizer.inference import predict, predict_lines

        options = predict.PredictOptions(
            output=args.output, checkpoint=args.checkpoint, verbose=args.verbose
        )
        result = predict_lines.predict_lines(folder, request, lines, options)
    print(predict_lines.describe(result))
