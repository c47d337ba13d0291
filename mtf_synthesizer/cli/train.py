"""The command `train`: its options and its run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.own_data import add_own_data, read_own_data
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.training_options import (
    add_training_flags,
    add_validation,
    check_validation,
    read_bindings,
)
from mtf_synthesizer.cli.values import positive
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision, signals
from mtf_synthesizer.training.start import finished, prepare

if TYPE_CHECKING:
    from mtf_synthesizer.training.validation import Validation

EXAMPLE = (
    "mtf_synthesizer train --synthesizer rv --size tiny --run demo_pretrain \\\n"
    "    --task synthesizer_verse_spans_v001 --steps 200 --model_dir runs/rv\n"
    "  mtf_synthesizer train --init_checkpoint runs/rv --run demo_finetune \\\n"
    "    --task synthesizer_verses_v001 --steps 200 --model_dir runs/rv_verses\n"
    "  mtf_synthesizer train --synthesizer rv --size tiny --data train=pairs.tsv \\\n"
    "    --data validation=dev.tsv --vocabulary bytes --steps 200 --model_dir runs/rv_pairs"
)


def add_arguments(command: Parser) -> None:
    """Add the options of `train`."""
    options.add_new_model(
        command,
        "Folder of checkpoints, summaries and configuration. If it holds a model, its training "
        "is resumed.",
    )
    options.add_synthesizer(command, default="Default: the model of --init_checkpoint.")
    options.add_size(command, "Default: the size of --experiment or of --init_checkpoint.")
    options.add_start(
        command,
        "Model folder or checkpoint to start from. Without --synthesizer and --size the "
        "model is the one in that folder. Default: initial values are drawn.",
    )
    command.group("model").add_argument(
        "--partial_init",
        action="store_true",
        help="Accept an --init_checkpoint whose variables differ: missing variables are "
        "initialized, surplus variables are ignored.",
    )
    options.add_task(command, default="Default: the task of --experiment.")
    add_own_data(command)
    options.add_caches(command)
    options.add_run(command, "Default: pretrain; with --data own_data.")
    options.add_experiment(
        command, "Shared settings of a table's rows, instead of --run, --size and --task."
    )
    options.add_steps(
        command, "Steps to train, counted from --init_checkpoint. Default: the number of the run."
    )
    options.add_batch_size(command, "Sequences in a batch. Default: the batch size of the run.")
    options.add_seed(command, "Seed of initial values, dropout and order of examples.")
    add_training_flags(command)
    add_validation(command)
    add = command.group("output").add_argument
    add(
        "--summary_steps",
        type=positive,
        metavar="N",
        help="Steps between summaries and lines of loss.jsonl. Default: a fiftieth of the steps, "
        "at most 100.",
    )
    add(
        "--no_attention_summaries",
        dest="attention_summaries",
        action="store_false",
        help="Write no summaries of α and of the attention's entropy for TensorBoard.",
    )
    add(
        "--dry_run",
        action="store_true",
        help="Print files, bindings, the first examples, and the model's size, memory and time of "
        "a step. Write nothing.",
    )
    options.add_device(command)
    options.add_mesh(command)
    options.add_precision(command)
    options.add_configuration(command)


@signals.ends_the_process()
def run(args: argparse.Namespace) -> None:
    """Train and print the progress.

    Raises:
      errors.UserError: an argument is misspelt, or a file is missing or does not fit.
      signals.Terminated: SIGTERM ended the training; its progress is saved.
    """
    # Needs no TensorFlow, so a mistake is reported at once.
    folder, request = ModelFolder.at(args.model_dir), _request(args)
    if not args.dry_run:
        folder.check_free()
    # Counting the tokens of --data may load a vocabulary with TensorFlow.
    precision.choose_for_command(args.matmul_precision, folder.precision)
    prepared = prepare(folder, request)
    check_validation(args, prepared.request)
    done = finished(prepared)
    if done is not None and not args.dry_run and args.evaluate_every is None:
        print(_describe(done))
        return
    loading.load_tensorflow(args.verbose)
    options.choose_device(args)
    if args.dry_run:
        from mtf_synthesizer.studies import dry_run

        print(dry_run.describe(prepared, args.verbose))
        return
    from mtf_synthesizer.training import train

    train_options = train.TrainOptions(
        summary_steps=args.summary_steps,
        attention_summaries=args.attention_summaries,
        verbose=args.verbose,
        validation=_validation(args),
    )
    print(_describe(train.carry_out(prepared, train_options)))


def _validation(args: argparse.Namespace) -> Validation | None:
    if args.evaluate_every is None:
        return None
    from mtf_synthesizer.inference.validator import Validator
    from mtf_synthesizer.training import validation

    return validation.Validation(
        Validator(examples=args.evaluation_examples),
        every=args.evaluate_every,
        metric=args.metric,
        lower=options.read_lower(args),
        early_stopping=args.early_stopping,
    )


def _request(args: argparse.Namespace) -> Request:
    mesh = options.read_mesh(args)
    params, files = (mesh.gin_params, mesh.gin_files) if mesh else ((), ())
    return dataclasses.replace(
        options.read_request(args, [*params, *read_bindings(args)], files),
        task=args.task,
        synthesizer=options.read_synthesizer(args),
        size=args.size,
        run=args.run,
        experiment=args.experiment,
        steps=args.steps,
        batch_size=args.batch_size,
        init_checkpoint=args.init_checkpoint,
        partial_init=args.partial_init,
        additional_task_cache_dirs=args.additional_task_cache_dirs,
        own_data=read_own_data(args),
        seed=args.seed,
    )


def _describe(result: Mapping[str, Any]) -> str:
    """Return a summary of the training."""
    loss = "" if result["loss"] is None else f", loss {result['loss']:.4f}"
    best = _describe_best(result)
    if not result["trained"]:
        return (
            f"{result['model_dir']}: nothing to train: the model is at step "
            f"{result['step']}{loss}, and the training ends at step {result['end']}{best}. Give "
            "more --steps"
        )
    return f"{result['model_dir']}: step {result['step']}{loss}, {result['seconds']:.0f} s{best}"


def _describe_best(result: Mapping[str, Any]) -> str:
    """Return the best validation score, and whether the training ended before its last step."""
    best, metric = result["best"], result["metric"]
    if best is None:
        return ""
    early = "; stopped early" if result["step"] < result["end"] else ""
    return f"{early}; best validation {metric} {best[metric]:.4g} at step {best['step']:.0f}"
