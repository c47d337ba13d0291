"""The command `compare`: its options and its run."""

import argparse

from mtf_synthesizer.cli.options import (
    add_caches,
    add_configuration,
    add_precision,
    listed,
    modules,
    numbers,
    positive,
)
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.files import locks, saving
from mtf_synthesizer.runtime import loading, precision, signals
from mtf_synthesizer.studies.compare import plan
from mtf_synthesizer.training import run_record

EXAMPLE = (
    "mtf_synthesizer compare --experiment tiny_shakespeare --rows v,r,d,rv \\\n"
    "    --seeds 0,1,2 --vocabulary bytes --tfds_data_dir data --output runs/shakespeare"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    add = command.add_argument
    experiments = " ".join(gin_files.known("experiments"))
    add("--experiment", required=True, help=f"one of {experiments}")
    add(
        "--rows",
        required=True,
        type=listed,
        help="synthesizers and baselines, e.g. v,r,lightconv",
    )
    add("--seeds", type=numbers, default=[0], help="e.g. 0,1,2 (default: 0)")
    add("--output", required=True, help="folder of models and results; run again, goes on there")
    add("--steps", type=positive, help="of training (default: the experiment's)")
    add("--split", default="test", help="evaluated in the end (default: %(default)s)")
    add(
        "--validation_split",
        default="validation",
        help="that tells whether the loss still falls (default: %(default)s; LM1B, IMDB and "
        "AG News have none: give test)",
    )
    add("--init_from", help="folder of an earlier comparison, whose models are fine-tuned")
    add_caches(command)
    add(
        "--evaluation_gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="gin file for the evaluation alone, e.g. beam_search.gin",
    )
    add_precision(command)
    add_configuration(command)


@signals.ends_the_process()
def run(args: argparse.Namespace) -> None:
    """Train and evaluate all unfinished runs, and print a table.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
      termination.Terminated: SIGTERM came while steps were under way.
    """
    wanted = _wanted(args)
    plan.check(wanted)  # without TensorFlow; compare checks again
    saving.check_folder(args.output)
    locks.check_output_is_free(args.output)
    kept = run_record.kept_precision_below(args.output)
    precision.choose_for_command(args.matmul_precision, kept)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies.compare import compare

    with locks.hold_output(args.output):
        summary = compare.compare(args.output, wanted)
    print(compare.describe(summary))
    print(f"written to {args.output}/{compare.RESULTS}")


def _wanted(args: argparse.Namespace) -> plan.ComparisonPlan:
    return plan.ComparisonPlan(
        experiment=args.experiment,
        rows=args.rows,
        seeds=args.seeds,
        split=args.split,
        validation_split=args.validation_split,
        steps=args.steps,
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
        additional_task_cache_dirs=args.additional_task_cache_dirs,
        gin_files=args.gin_file,
        gin_params=args.gin_param,
        modules=modules(args),
        init_from=args.init_from,
        evaluation_gin_files=args.evaluation_gin_file,
    )
