"""The command `report`: the paper's tables with our values beside, from files of results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.studies.report import files, formats
from mtf_synthesizer.studies.report.section import ReportSection
from mtf_synthesizer.studies.report.tables import sections

EXAMPLE = "mtf_synthesizer report runs --output runs/report.md --output runs/report.html"
_FORMATS: dict[str, Callable[[Sequence[ReportSection], Sequence[str], str], str]] = {
    ".md": formats.markdown,
    ".html": formats.html,
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    command.add_argument(
        "folders",
        nargs="+",
        metavar="DIR",
        help="folders (or files) with what evaluate, compare, cost --format json and bench "
        "--format json have written",
    )
    command.add_argument(
        "--output",
        required=True,
        action="append",
        metavar="FILE",
        help="file ending in .md or .html; may be given twice",
    )


def run(args: argparse.Namespace) -> None:
    """Collect and write results, and report skipped files. Needs no TensorFlow.

    Raises:
      errors.UserError: a folder does not exist, or an output can't be written.
    """
    for output in args.output:
        errors.check("kind of report", paths.of(output).suffix, _FORMATS)
        saving.check_file(output)
    found = files.collect(args.folders)
    tables = sections(found)
    for output in args.output:
        text = _FORMATS[paths.of(output).suffix](tables, found.skipped, args.typed)
        saving.write_text(output, text)
    for warning in found.skipped:
        print(f"mtf_synthesizer: warning: left out: {warning}", file=sys.stderr)
    counts = f"{len(found.runs)} evaluated models, {len(found.costs)} costs, "
    print(f"{counts}{len(found.benchmarks)} benchmarks; written to {', '.join(args.output)}")
