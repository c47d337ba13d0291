"""`mtf_synthesizer data`: the sub-commands that find, check and prepare data."""

import argparse
import pathlib
from collections.abc import Callable

from mtf_synthesizer.data import catalogue

_EXAMPLES = {
    "prepare": "mtf_synthesizer data prepare --benchmark glue --from glue_data \\\n"
    "    --tfds_data_dir data",
    "list": "mtf_synthesizer data list glue",
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of the sub-commands; `data_command` of the result is the name of one."""
    commands = command.add_subparsers(dest="data_command", metavar="COMMAND", required=True)
    _add_prepare(_add(commands, "prepare", "check official files and prepare them for training"))
    _add_list(_add(commands, "list", "show the benchmarks and the files that prepare looks for"))


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=f"example:\n  {_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_prepare(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--benchmark", required=True, help=f"one of {' '.join(catalogue.BENCHMARKS)}")
    add(
        "--from",
        dest="source",
        required=True,
        type=pathlib.Path,
        metavar="DIR",
        help="folder of the official files, any part of them (`mtf_synthesizer data list`)",
    )
    add(
        "--tfds_data_dir",
        required=True,
        type=pathlib.Path,
        metavar="DIR",
        help="folder to write to, which train, evaluate and predict take under the same name",
    )
    add(
        "--allow_partial",
        action="store_true",
        help="take files with more or fewer examples than the published ones",
    )
    add("--overwrite", action="store_true", help="write again what was prepared before")
    add("--verbose", action="store_true", help="all logs, and tracebacks of errors")


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("benchmark", nargs="?", help="only this one")


def run(args: argparse.Namespace) -> None:
    """Does what the arguments say."""
    _COMMANDS[args.data_command](args)


def _prepare(args: argparse.Namespace) -> None:
    from mtf_synthesizer.data import prepare

    prepare.run(
        args.benchmark,
        args.source,
        args.tfds_data_dir,
        allow_partial=args.allow_partial,
        overwrite=args.overwrite,
        verbose=args.verbose,
    )


def _list(args: argparse.Namespace) -> None:
    from mtf_synthesizer.data import prepare

    for benchmark in [args.benchmark] if args.benchmark else catalogue.BENCHMARKS:
        print("\n".join(prepare.describe_files(benchmark)))


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "prepare": _prepare,
    "list": _list,
}
