"""The command `env`: its options and its output."""

import argparse
import json
from typing import Any

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.runtime import loading, precision

EXAMPLE = "mtf_synthesizer env"


def add_arguments(command: Parser) -> None:
    """Add the options of `env`."""
    options.add_format(command, ["table", "json"])
    options.add_precision(command)
    options.add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Print versions, devices, instructions, folders and environment variables.

    Raises:
      errors.UserError: the precision is not available.
    """
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies import environment

    document = environment.describe()
    print(json.dumps(document, indent=2) if args.format == "json" else _as_text(document))


def _as_text(document: dict[str, dict[str, Any]]) -> str:
    lines = []
    for title, fields in document.items():
        lines += [f"{title}:", *(f"  {name}: {value}" for name, value in fields.items())]
    return "\n".join(lines)
