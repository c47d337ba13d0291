"""The command `compare`: its options and its run."""

import argparse
import sys

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several, budget, listed, numbers
from mtf_synthesizer.config import by_layer
from mtf_synthesizer.files import locks, saving
from mtf_synthesizer.runtime import loading, precision, signals
from mtf_synthesizer.studies import variants
from mtf_synthesizer.studies.compare import plan
from mtf_synthesizer.training import run_record

EXAMPLE = (
    "mtf_synthesizer compare --experiment tiny_shakespeare --rows v,r,d,rv \\\n"
    "    --seeds 0,1,2 --vocabulary bytes --tfds_data_dir data --output runs/shakespeare"
)


def add_arguments(command: Parser) -> None:
    """Add the options of `compare`."""
    add = command.group("model").add_argument
    add(
        "--rows",
        default=[],
        type=listed,
        metavar="NAME,NAME",
        help="Synthesizers, baselines and gin files to compare, for example v,r,lightconv,my.gin. "
        "Needed without --synthesizer_layers.",
    )
    add(
        by_layer.FLAG,
        action="append",
        default=[],
        metavar="STACK=NAME*N,...;...",
        help="Further row with a synthesizer for each layer, for example "
        '"encoder=r*3,v*3;decoder=v". May be given several times.',
    )
    add(
        "--vary",
        action="append",
        default=[],
        metavar="BINDING=A,B,...",
        help="Rows with each of several values of a gin binding that they use, for example "
        '"FactorizedRandom.rank=2,8,32". May be given several times. Default: one row each.',
    )
    options.add_start(
        command,
        "Folder of an earlier comparison: each model is fine-tuned from the model of the same "
        "row and seed there. Default: initial values are drawn.",
    )
    options.add_split(command, "test", "Split for the final evaluation.")
    command.group("data").add_argument(
        "--validation_split",
        default="validation",
        metavar="SPLIT",
        help="Split for evaluations while training, which show whether the loss still falls. "
        "LM1B, IMDB and AG News have no validation split: give test. Default: %(default)s.",
    )
    options.add_caches(command)
    options.add_experiment(command, "Settings that all models share.", required=True)
    add = command.group("run").add_argument
    add(
        "--seeds",
        type=numbers,
        default=[0],
        metavar="N,N",
        help="Seeds to train each row with, for example 0,1,2. Default: 0.",
    )
    options.add_steps(command, "Steps to train each model. Default: the number of the experiment.")
    add(
        "--budget",
        type=budget,
        metavar="minutes=M",
        help="Train each row once more, for M minutes of processor time instead of the steps. "
        "Default: the steps alone.",
    )
    command.group("configuration").add_argument(
        "--evaluation_gin_file",
        action=Several,
        default=[],
        metavar="FILE,FILE",
        help="Further gin files for evaluations only, for example beam_search.gin. May be given "
        "several times.",
    )
    command.group("output").add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="Folder of the models and results. The same command resumes there.",
    )
    options.add_format(command)
    options.add_device(command)
    options.add_precision(command)
    options.add_configuration(command)


@signals.ends_the_process()
def run(args: argparse.Namespace) -> None:
    """Train and evaluate all unfinished runs, and print a table.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
      signals.Terminated: SIGTERM ended the training; its progress is saved.
    """
    comparison = _plan(args)
    plan.check(comparison)  # needs no TensorFlow; `compare` checks again
    saving.check_folder(args.output)
    locks.check_output_is_free(args.output)
    kept = run_record.kept_precision_below(args.output)
    precision.choose_for_command(args.matmul_precision, kept)
    loading.load_tensorflow(args.verbose)
    options.choose_device(args)
    from mtf_synthesizer.studies.compare import compare

    with locks.hold_output(args.output):
        summary = compare.compare(args.output, comparison)
    options.print_result(args, compare.describe(summary), summary)
    written = f"written to {args.output}/{compare.RESULTS}"
    print(written, file=sys.stderr if args.format == "json" else sys.stdout)


def _plan(args: argparse.Namespace) -> plan.ComparisonPlan:
    return plan.ComparisonPlan(
        experiment=args.experiment,
        rows=_rows(args),
        seeds=args.seeds,
        split=args.split,
        validation_split=args.validation_split,
        steps=args.steps,
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
        additional_task_cache_dirs=args.additional_task_cache_dirs,
        gin_files=args.gin_file,
        gin_params=args.gin_param,
        modules=options.read_modules(args),
        init_from=args.init_checkpoint,
        evaluation_gin_files=args.evaluation_gin_file,
    )


def _rows(args: argparse.Namespace) -> list[str]:
    """Return the rows of --rows and --synthesizer_layers, with those of --vary and --budget.

    Raises:
      errors.UserError: no row is given, or a row by layer has another form.
    """
    for text in args.synthesizer_layers:
        by_layer.parse(text.partition(" ")[0])
    rows = [*args.rows, *args.synthesizer_layers]
    if not rows:
        raise errors.UserError(f"--rows: no row is given. Name the rows, or give {by_layer.FLAG}")
    rows = variants.varied(rows, args.vary)
    if args.budget is not None:
        rows += [f"{row} minutes={args.budget:g}" for row in rows]
    return rows
