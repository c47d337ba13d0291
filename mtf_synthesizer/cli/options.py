"""Options shared by sub-commands, parsers of their values, and the resulting configuration."""

import argparse

from mtf_synthesizer.config import request
from mtf_synthesizer.runtime import precision


def add_configuration(command: argparse.ArgumentParser) -> None:
    """Add the options of every command that reads a configuration."""
    add_gin(command)
    add_data(command)
    add_modules(command)
    add_verbose(command)


def add_gin(command: argparse.ArgumentParser) -> None:
    """Add --gin_file and --gin_param."""
    command.add_argument(
        "--gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="further gin file, e.g. clip_gradients.gin; may be given several times",
    )
    command.add_argument(
        "--gin_param",
        action="append",
        default=[],
        metavar="BINDING",
        help='binding, e.g. "num_layers = 4"; may be given several times',
    )


def add_data(command: argparse.ArgumentParser) -> None:
    """Add --vocabulary and --tfds_data_dir."""
    command.add_argument(
        "--vocabulary",
        metavar="FILE",
        help="SentencePiece model, or the word bytes, for tasks without a vocabulary of their own "
        "(default: the model's; when training anew T5's public one, which needs a network)",
    )
    command.add_argument(
        "--tfds_data_dir",
        metavar="DIR",
        help="folder that `data prepare` has written (default: that of tensorflow_datasets, "
        "$TFDS_DATA_DIR or ~/tensorflow_datasets)",
    )


def add_caches(command: argparse.ArgumentParser) -> None:
    """Add --additional_task_cache_dirs."""
    command.add_argument(
        "--additional_task_cache_dirs",
        type=listed,
        default=[],
        metavar="DIR,DIR",
        help="read what `cache` has written to these folders instead of the data itself",
    )


def add_examples(command: argparse.ArgumentParser) -> None:
    """Add --examples and --batch_size, which limit the input of a trained model."""
    command.add_argument("--examples", type=positive, help="only the first so many of each task")
    command.add_argument("--batch_size", type=positive, help="default: that of training")


def add_modules(command: argparse.ArgumentParser) -> None:
    """Add --module_import."""
    command.add_argument(
        "--module_import",
        action="append",
        default=[],
        metavar="MODULE",
        help="Python module that registers your own tasks; may be given several times",
    )


def add_precision(command: argparse.ArgumentParser) -> None:
    """Add --matmul_precision."""
    command.add_argument(
        precision.FLAG,
        choices=precision.CHOICES,
        help="products of matrices in bfloat16, with sums in float32, or all in float32; auto: "
        "bfloat16 where the processor has instructions for it (default: "
        f"${precision.VARIABLE}, else auto; a run that is resumed keeps its own)",
    )


def add_verbose(command: argparse.ArgumentParser) -> None:
    """Add --verbose."""
    command.add_argument(
        "--verbose", action="store_true", help="all logs, and tracebacks of errors"
    )


def modules(args: argparse.Namespace) -> list[str]:
    """Modules that register tasks: this package's, and --module_import."""
    return [*request.TASK_MODULES, *args.module_import]


def of_model(args: argparse.Namespace, task: str | None = None) -> request.Request:
    """What is asked of a trained model, with what `add_configuration` and `add_examples` read.

    Args:
      args: what the user typed.
      task: that the model is to read.
    """
    return request.Request(
        task=task,
        batch_size=getattr(args, "batch_size", None),
        gin_files=args.gin_file,
        gin_params=args.gin_param,
        modules=modules(args),
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
    )


def listed(text: str) -> list[str]:
    """Parse a,b as [a, b], without duplicates; at least one name."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise argparse.ArgumentTypeError(f"{text!r} is empty: give one or more, with commas")
    return parts


def numbers(text: str) -> list[int]:
    """Parse 0,1,2 as [0, 1, 2]."""
    parts = listed(text)
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers like 0,1,2")
    return [int(part) for part in parts]


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)
