"""The command `train`: its options and its run."""

import argparse
from collections.abc import Mapping
from typing import Any

from mtf_synthesizer.cli.options import (
    add_caches,
    add_configuration,
    add_precision,
    modules,
    positive,
)
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision, signals
from mtf_synthesizer.training.start import prepare

EXAMPLE = (
    "mtf_synthesizer train --synthesizer rv --size tiny --run demo_pretrain \\\n"
    "    --task synthesizer_verse_spans_v001 --steps 200 --model_dir runs/rv\n"
    "  mtf_synthesizer train --init_checkpoint runs/rv --run demo_finetune \\\n"
    "    --task synthesizer_verses_v001 --steps 200 --model_dir runs/rv_verses"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `train`."""
    add = command.add_argument
    add("--model_dir", required=True, help="folder for checkpoints, summaries, configuration")
    add("--task", help="seqio task or mixture (`mtf_synthesizer list tasks`)")
    add(
        "--synthesizer",
        help=f"one of {' '.join(gin_files.known('synthesizers'))}, or one of the baselines "
        f"{' '.join(gin_files.known('baselines'))}",
    )
    add("--size", help=f"one of {' '.join(gin_files.known('sizes'))}")
    add(
        "--run",
        help=f"schedule, lengths, batch and packing: one of {' '.join(gin_files.known('runs'))} "
        "(default: pretrain)",
    )
    add(
        "--experiment",
        help="instead of --run, --size and --task, all that a row of a table has in common with "
        f"the others: one of {' '.join(gin_files.known('experiments'))}",
    )
    add(
        "--steps",
        type=positive,
        help="training steps, counted from --init_checkpoint",
    )
    add(
        "--batch_size",
        type=positive,
        help="sequences in a batch (default: the run's)",
    )
    add(
        "--init_checkpoint",
        help="model folder or checkpoint to start from; without --synthesizer and --size the "
        "model is the one found there",
    )
    add(
        "--partial_init",
        action="store_true",
        help="start from --init_checkpoint though it lacks variables of this model, which then "
        "start afresh, or has more",
    )
    add("--seed", type=int, default=0, help="of initial values, dropout and order of examples")
    add(
        "--summary_steps",
        type=positive,
        help="steps between summaries (default: by length)",
    )
    add_caches(command)
    add(
        "--no_attention_summaries",
        dest="attention_summaries",
        action="store_false",
        help="no α and entropy of the attention in TensorBoard",
    )
    add_precision(command)
    add_configuration(command)


@signals.ends_the_process()
def run(args: argparse.Namespace) -> None:
    """Train and print the progress.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
      termination.Terminated: SIGTERM came while steps were under way.
    """
    # Without TensorFlow, so that a mistake is answered at once.
    prepared = prepare(ModelFolder.at(args.model_dir), _request(args))
    precision.choose_for_command(args.matmul_precision, prepared.precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.training import train

    options = train.TrainOptions(
        summary_steps=args.summary_steps,
        attention_summaries=args.attention_summaries,
        verbose=args.verbose,
    )
    print(_trained(train.carry_out(prepared, options)))


def _request(args: argparse.Namespace) -> Request:
    return Request(
        task=args.task,
        synthesizer=args.synthesizer,
        size=args.size,
        run=args.run,
        experiment=args.experiment,
        steps=args.steps,
        batch_size=args.batch_size,
        gin_files=args.gin_file,
        gin_params=args.gin_param,
        modules=modules(args),
        init_checkpoint=args.init_checkpoint,
        partial_init=args.partial_init,
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
        additional_task_cache_dirs=args.additional_task_cache_dirs,
        seed=args.seed,
    )


def _trained(result: Mapping[str, Any]) -> str:
    """A summary of the training."""
    loss = "" if result["loss"] is None else f", loss {result['loss']:.4f}"
    if not result["trained"]:
        return (
            f"{result['model_dir']}: nothing was done: it is at step {result['step']}{loss}, and "
            f"training ends at step {result['end']}. --steps sets another end"
        )
    return f"{result['model_dir']}: step {result['step']}{loss}, {result['seconds']:.0f} s"
