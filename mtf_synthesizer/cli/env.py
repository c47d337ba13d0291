"""The command `env`: its options and its output."""

import argparse
import json
from typing import Any

from mtf_synthesizer.cli.options import add_precision, add_verbose
from mtf_synthesizer.runtime import loading, precision

EXAMPLE = "mtf_synthesizer env"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `env`."""
    command.add_argument("--format", default="text", choices=["text", "json"])
    add_precision(command)
    add_verbose(command)


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
