"""The command `evaluate`: its options and its run."""

import argparse

from mtf_synthesizer.cli.options import (
    add_configuration,
    add_examples,
    add_precision,
    of_model,
)
from mtf_synthesizer.config.request import for_model
from mtf_synthesizer.files import saving
from mtf_synthesizer.model_folder import best
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision

EXAMPLE = (
    "mtf_synthesizer evaluate --model_dir runs/rv_verses \\\n"
    "    --task synthesizer_verses_v001 --split validation"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `evaluate`."""
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    add("--task", required=True, help="seqio task or mixture")
    add("--split", default="validation", help="default: %(default)s")
    add(
        "--checkpoints",
        default="latest",
        help="latest, all, a step, or best: by the task's first metric in the report that "
        "`evaluate --split validation --checkpoints all` has written (default: %(default)s)",
    )
    add("--output", help="JSON file (default: eval_<task>_<split>.json in the model folder)")
    add(
        "--no_decode",
        dest="decode",
        action="store_false",
        help="only the loss of the true targets, no decoding and no metrics of the task",
    )
    add_examples(command)
    add_precision(command)
    add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Evaluate, write the report and print it.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
    """
    folder, request = ModelFolder.at(args.model_dir), of_model(args, args.task)
    for_model(folder, request)  # without TensorFlow, so mistakes are reported at once
    folder.choose(args.checkpoints, args.task)
    path = args.output or best.report_path(folder, args.task, args.split)
    saving.check_file(path)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.inference import evaluate
    from mtf_synthesizer.inference import report as inference_report

    options = evaluate.EvaluateOptions(
        split=args.split,
        checkpoints=args.checkpoints,
        examples=args.examples,
        decode=args.decode,
        output=args.output,
        verbose=args.verbose,
    )
    report = evaluate.evaluate(folder, request, options)
    print(inference_report.describe(report))
    print(f"written to {path}")
