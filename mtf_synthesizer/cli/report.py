"""The command `report`: its options and its run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.studies.report import claims, files, formats
from mtf_synthesizer.studies.report.section import ReportSection
from mtf_synthesizer.studies.report.tables import sections

EXAMPLE = "mtf_synthesizer report runs --output runs/report.md --output runs/report.html"
_FORMATS: dict[str, Callable[[Sequence[ReportSection], Sequence[str], str, str], str]] = {
    ".md": formats.markdown,
    ".html": formats.html,
}


def add_arguments(command: Parser) -> None:
    """Add the options of `report`."""
    command.add_argument(
        "folders",
        nargs="+",
        action=Several,
        metavar="DIR",
        help="Folders or files with results of `evaluate`, `compare`, `cost --format json` and "
        "`bench --format json`.",
    )
    command.group("output").add_argument(
        "--claims",
        action="store_true",
        help="Put the paper's statements first, each with its verdict and test.",
    )
    command.group("output").add_argument(
        "--output",
        required=True,
        action=Several,
        metavar="FILE,FILE",
        help="Files of the report; their names end in .md or .html. May be given several times.",
    )


def run(args: argparse.Namespace) -> None:
    """Collect and write results, and report skipped files. Needs no TensorFlow.

    Raises:
      errors.UserError: a folder does not exist, or an output can't be written.
    """
    for output in args.output:
        errors.check("kind of report", paths.of(output).suffix, _FORMATS)
        saving.check_file(output)
    results = files.collect(args.folders)
    tables = sections(results)
    if args.claims:
        tables = [claims.section(results.runs), *tables]
    for output in args.output:
        text = _FORMATS[paths.of(output).suffix](
            tables, results.skipped, args.typed, formats.title(results.runs)
        )
        saving.write_text(output, text)
    for warning in results.skipped:
        print(f"mtf_synthesizer: warning: left out: {warning}", file=sys.stderr)
    counts = f"{len(results.runs)} evaluated models, {len(results.costs)} costs, "
    if args.claims:
        verdicts = claims.counts(results.runs)
        print(", ".join(f"{number} {verdict}" for verdict, number in verdicts.items()))
    print(f"{counts}{len(results.benchmarks)} timings; written to {', '.join(args.output)}")
