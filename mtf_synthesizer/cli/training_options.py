"""Options of `train` that stand for gin bindings, and options of evaluation while training."""

import argparse

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import positive, positive_number
from mtf_synthesizer.config import training_flags
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.config.training_flags import TrainingFlags

_SPLIT = "validation"
_NEED_EVALUATIONS = ("evaluation_examples", "metric", "better", "early_stopping")


def add_training_flags(command: Parser) -> None:
    """Add plain names for gin bindings of the run."""
    add = command.group("run").add_argument
    add(
        "--learning_rate",
        type=positive_number,
        metavar="RATE",
        help=f"Constant learning rate: {training_flags.LEARNING_RATE}. Default: the schedule of "
        "the run.",
    )
    add(
        "--freeze",
        metavar="PATTERN",
        help="Do not train variables whose names match a regular expression, for example "
        f"encoder/: {training_flags.VARIABLE_FILTER}. Default: all variables are trained.",
    )
    add(
        "--train_only",
        choices=[*training_flags.GROUPS],
        help="Train only the tables of R, FR and Toeplitz, and α: "
        f"{training_flags.VARIABLE_FILTER}. Default: all variables are trained.",
    )
    add = command.group("output").add_argument
    add(
        "--save_steps",
        type=positive,
        metavar="N",
        help=f"Steps between checkpoints: {training_flags.SAVE_STEPS}. Default: --evaluate_every, "
        "else the number of the run.",
    )
    add(
        "--keep_checkpoints",
        type=positive,
        metavar="N",
        help=f"Keep the last N checkpoints: {training_flags.KEEP_CHECKPOINTS}. Default: keep all.",
    )


def add_validation(command: Parser) -> None:
    """Add --evaluate_every and the options that need it."""
    add = command.group("run").add_argument
    add(
        "--evaluate_every",
        type=positive,
        metavar="N",
        help="Evaluate on the split validation every N steps and after the last step. The best "
        "checkpoint is kept apart, in the folder best of --model_dir (docs/watching.md). Default: "
        "no evaluation while training.",
    )
    add(
        "--evaluation_examples",
        type=positive,
        metavar="N",
        help="Evaluate only the first N examples of each task. Default: all examples.",
    )
    add(
        "--metric",
        help="Score that chooses the best checkpoint: a metric of the task, loss, token_accuracy "
        "or sequence_accuracy. Default: the first metric of the task, else loss.",
    )
    options.add_better(command, "run")
    add(
        "--early_stopping",
        type=positive,
        metavar="N",
        help="End the training after N evaluations without a better score. Default: train to the "
        "last step.",
    )


def read_bindings(args: argparse.Namespace) -> list[str]:
    """Return the bindings that the options stand for; a checkpoint is saved for every evaluation.

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


def check_validation(args: argparse.Namespace, request: Request) -> None:
    """Check the options of evaluation while training, before TensorFlow is loaded.

    Raises:
      errors.UserError: an option needs --evaluate_every, or --data lacks the split.
    """
    if args.evaluate_every is None:
        for name in _NEED_EVALUATIONS:
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
