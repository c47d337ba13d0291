"""Options of `train` that stand for gin bindings, and those of evaluation while training."""

import argparse

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import positive, rate
from mtf_synthesizer.config import training_flags
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.config.training_flags import TrainingFlags

_SPLIT = "validation"


def add_training_flags(command: argparse.ArgumentParser) -> None:
    """Add plain names for gin bindings of the run."""
    add = command.add_argument
    add(
        "--save_steps",
        type=positive,
        metavar="N",
        help=f"steps between checkpoints: {training_flags.SAVE_STEPS} (default: the run's)",
    )
    add(
        "--keep_checkpoints",
        type=positive,
        metavar="N",
        help=f"keep the last N checkpoints: {training_flags.KEEP_CHECKPOINTS} (default: all)",
    )
    add(
        "--learning_rate",
        type=rate,
        metavar="RATE",
        help=f"constant learning rate: {training_flags.LEARNING_RATE} (default: the run's "
        "schedule)",
    )
    add(
        "--freeze",
        metavar="PATTERN",
        help="do not train the variables whose names match a regular expression, such as encoder/: "
        f"{training_flags.VARIABLE_FILTER}",
    )
    add(
        "--train_only",
        choices=[*training_flags.GROUPS],
        help="train only the tables of R, FR and Toeplitz, and α: "
        f"{training_flags.VARIABLE_FILTER}",
    )


def bindings_of(args: argparse.Namespace) -> list[str]:
    """Return the bindings that the flags stand for; a checkpoint is saved for every evaluation.

    Raises:
      errors.UserError: a value is wrong, or evaluations would miss the checkpoints.
    """
    every, save_steps = args.evaluate_every, args.save_steps
    if every and save_steps and every % save_steps:
        raise errors.UserError(
            f"--evaluate_every {every}: only saved checkpoints are evaluated. Give a multiple of "
            f"--save_steps {save_steps}"
        )
    flags = TrainingFlags(
        save_steps=save_steps or every,
        keep_checkpoints=args.keep_checkpoints,
        learning_rate=args.learning_rate,
        freeze=args.freeze,
        train_only=args.train_only,
    )
    return flags.bindings()


def add_validation(command: argparse.ArgumentParser) -> None:
    """Add --evaluate_every and the options that need it."""
    add = command.add_argument
    add(
        "--evaluate_every",
        type=positive,
        metavar="N",
        help="evaluate the split validation every N steps and at the end, and keep the best "
        "checkpoint apart, in the folder best of --model_dir (docs/watching.md)",
    )
    add(
        "--evaluation_examples",
        type=positive,
        metavar="M",
        help="use only the first M examples of each task for --evaluate_every (default: all)",
    )
    add(
        "--metric",
        help="score that chooses the best checkpoint: a metric of the task, loss, token_accuracy "
        "or sequence_accuracy (default: the task's first metric, else loss)",
    )
    add("--better", choices=["lower", "higher"], help="needed only for a metric that is not known")
    add(
        "--early_stopping",
        type=positive,
        metavar="K",
        help="end training after K evaluations without a better score",
    )


def check_validation(args: argparse.Namespace, request: Request) -> None:
    """Check the options of evaluation while training, before TensorFlow is loaded.

    Raises:
      errors.UserError: one of them lacks --evaluate_every, or --data lacks the split.
    """
    if args.evaluate_every is None:
        for name in ("evaluation_examples", "metric", "better", "early_stopping"):
            if getattr(args, name) is not None:
                raise errors.UserError(
                    f"--{name} {getattr(args, name)}: nothing is evaluated while the model trains. "
                    "Add --evaluate_every N"
                )
    elif request.own_data is not None and _SPLIT not in request.own_data.files:
        raise errors.UserError(
            f"--evaluate_every {args.evaluate_every}: --data has no split {_SPLIT}. Add --data "
            f"{_SPLIT}=FILE"
        )
