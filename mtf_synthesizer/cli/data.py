"""The command `data`: sub-commands that find, check and prepare data."""

import argparse
from collections.abc import Callable

from mtf_synthesizer.cli import parser
from mtf_synthesizer.cli.options import add_verbose, positive
from mtf_synthesizer.data import catalogue, decimals
from mtf_synthesizer.files import paths

_EXAMPLES = {
    "prepare": "mtf_synthesizer data prepare --benchmark glue --from glue_data \\\n"
    "    --tfds_data_dir data",
    "list": "mtf_synthesizer data list glue",
    "vocabulary": "mtf_synthesizer data vocabulary --input train.en train.de --size 8000 \\\n"
    "    --output multi30k.model",
}
EXAMPLE = _EXAMPLES["prepare"]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the sub-commands; `data_command` of the parsed result names the sub-command."""
    commands = command.add_subparsers(dest="data_command", metavar="COMMAND", required=True)
    _add_prepare(_add(commands, "prepare", "check official files and prepare them for training"))
    _add_list(_add(commands, "list", "show the benchmarks and the files that prepare looks for"))
    _add_vocabulary(_add(commands, "vocabulary", "train a SentencePiece vocabulary on text files"))


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    return parser.add(commands, name, purpose, _EXAMPLES[name])


def _add_prepare(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--benchmark", required=True, help=f"one of {' '.join(catalogue.BENCHMARKS)}")
    add(
        "--from",
        dest="source",
        required=True,
        type=paths.of,
        metavar="DIR",
        help="folder of the official files, any part of them (`mtf_synthesizer data list`)",
    )
    add(
        "--tfds_data_dir",
        required=True,
        type=paths.of,
        metavar="DIR",
        help="folder to write to, which train, evaluate and predict take under the same name",
    )
    add(
        "--allow_partial",
        action="store_true",
        help="take files with more or fewer examples than the published ones",
    )
    add("--overwrite", action="store_true", help="write again what was prepared before")
    add_verbose(command)


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("benchmark", nargs="?", help="only this one")


def _add_vocabulary(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--input",
        nargs="+",
        required=True,
        type=paths.of,
        metavar="FILE",
        help="text files in UTF-8, a sentence a line, plain or .gz",
    )
    add(
        "--size",
        required=True,
        type=positive,
        help="number of pieces; with T5's 100 sentinels a multiple of 128 wastes nothing",
    )
    add(
        "--character_coverage",
        type=_share,
        default=1.0,
        help="share of the text whose characters get a piece of their own, the rarest others are "
        "unknown; for scripts with thousands of characters, as Chinese, 0.9995. 1 unless given",
    )
    add(
        "--output",
        required=True,
        type=paths.of,
        metavar="FILE",
        help="the model, which train takes as --vocabulary",
    )


def _share(text: str) -> float:
    """Parse a number in (0, 1]."""
    share = decimals.parse(text, 0.0)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text!r}")
    return share


def run(args: argparse.Namespace) -> None:
    """Run the sub-command."""
    _COMMANDS[args.data_command](args)


def _prepare(args: argparse.Namespace) -> None:
    from mtf_synthesizer.data import prepare as data_prepare

    data_prepare.run(
        args.benchmark,
        args.source,
        args.tfds_data_dir,
        allow_partial=args.allow_partial,
        overwrite=args.overwrite,
        verbose=args.verbose,
    )


def _list(args: argparse.Namespace) -> None:
    from mtf_synthesizer.data import prepare as data_prepare

    for benchmark in [args.benchmark] if args.benchmark else catalogue.BENCHMARKS:
        print("\n".join(data_prepare.describe_files(benchmark)))


def _vocabulary(args: argparse.Namespace) -> None:
    from mtf_synthesizer.data import sentence_pieces as data_sentence_pieces

    lines = data_sentence_pieces.train_on_files(
        args.input, args.output, args.size, args.character_coverage
    )
    print(f"{args.output}: {args.size} pieces from {lines}")


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "prepare": _prepare,
    "list": _list,
    "vocabulary": _vocabulary,
}
