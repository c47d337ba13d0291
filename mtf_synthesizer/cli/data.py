"""The command `data`: its sub-commands, their options and their runs."""

import argparse
from collections.abc import Callable

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser, add_command
from mtf_synthesizer.cli.values import Several, positive, share
from mtf_synthesizer.data import catalogue
from mtf_synthesizer.files import paths

_EXAMPLES = {
    "prepare": "mtf_synthesizer data prepare --benchmark glue --from glue_data \\\n"
    "    --tfds_data_dir data",
    "list": "mtf_synthesizer data list glue",
    "vocabulary": "mtf_synthesizer data vocabulary --input train.en train.de --size 8000 \\\n"
    "    --output multi30k.model",
}
EXAMPLE = _EXAMPLES["prepare"]


def add_arguments(command: Parser) -> None:
    """Add the sub-commands; `data_command` of the parsed result names the sub-command."""
    commands = command.add_subparsers(dest="data_command", metavar="COMMAND", required=True)
    _add_prepare(_add(commands, "prepare", "Check official files and prepare them for training."))
    _add_list(_add(commands, "list", "List the benchmarks and the files that prepare looks for."))
    _add_vocabulary(_add(commands, "vocabulary", "Train a SentencePiece vocabulary on text files."))


def _add(commands: "argparse._SubParsersAction[Parser]", name: str, purpose: str) -> Parser:
    return add_command(commands, name, purpose, _EXAMPLES[name])


def _add_prepare(command: Parser) -> None:
    options.add_benchmark(command, catalogue.BENCHMARKS)
    add = command.group("data").add_argument
    add(
        "--from",
        dest="source",
        required=True,
        type=paths.of,
        metavar="DIR",
        help="Folder with all or some of the official files; `mtf_synthesizer data list` prints "
        "their names.",
    )
    add(
        "--allow_partial",
        action="store_true",
        help="Accept files whose number of examples differs from the published number.",
    )
    command.group("output").add_argument(
        "--tfds_data_dir",
        required=True,
        type=paths.of,
        metavar="DIR",
        help="Folder to write: --tfds_data_dir of `train`, `evaluate` and `predict`.",
    )
    command.accept("--input", "--from")
    command.accept("--output", "--tfds_data_dir")
    options.add_overwrite(command, "prepared data in that folder")
    options.add_verbose(command)


def _add_list(command: Parser) -> None:
    command.add_argument("benchmark", nargs="?", help="Benchmark to list. Default: all benchmarks.")
    options.add_format(command)


def _add_vocabulary(command: Parser) -> None:
    command.group("data").add_argument(
        "--input",
        nargs="+",
        action=Several,
        required=True,
        metavar="FILE",
        help="Text files in UTF-8 with a sentence per line, plain or .gz.",
    )
    add = command.group("model").add_argument
    add(
        "--size",
        required=True,
        type=positive,
        metavar="N",
        help="Number of pieces. Mesh rounds the number of pieces and T5's 100 sentinels up to a "
        "multiple of 128.",
    )
    add(
        "--character_coverage",
        type=share,
        default=1.0,
        metavar="SHARE",
        help="Share of the text's characters that get a piece; rarer characters are unknown. "
        "0.9995 suits scripts with thousands of characters, such as Chinese. Default: 1.",
    )
    command.group("output").add_argument(
        "--output",
        required=True,
        type=paths.of,
        metavar="FILE",
        help="File of the vocabulary: --vocabulary of `train`.",
    )


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

    benchmarks = [args.benchmark] if args.benchmark else list(catalogue.BENCHMARKS)
    text = "\n".join(line for name in benchmarks for line in data_prepare.describe_files(name))
    files = {name: data_prepare.official_files(name) for name in benchmarks}
    options.print_result(args, text, files)


def _vocabulary(args: argparse.Namespace) -> None:
    from mtf_synthesizer.data import sentence_pieces as data_sentence_pieces

    lines = data_sentence_pieces.train_on_files(
        [paths.of(file) for file in args.input], args.output, args.size, args.character_coverage
    )
    print(f"{args.output}: {args.size} pieces from {lines}")


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "prepare": _prepare,
    "list": _list,
    "vocabulary": _vocabulary,
}
