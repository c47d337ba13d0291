"""The command `report`: the paper's tables with our values beside them, from files of results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from mtf_synthesizer import names, paths, saving
from mtf_synthesizer.reporting import (
    paper,
    report_costs,
    report_files,
    report_formats,
    report_scores,
    report_section,
)
from mtf_synthesizer.reporting.report_files import Found
from mtf_synthesizer.reporting.report_section import Columns, Section

EXAMPLE = "mtf_synthesizer report runs --output runs/report.md --output runs/report.html"
_FORMATS: dict[str, Callable[[Sequence[Section], Sequence[str]], str]] = {
    ".md": report_formats.markdown,
    ".html": report_formats.html,
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `report`."""
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
    """Collects, writes, and says what was left out. Needs no TensorFlow.

    Raises:
      names.UserError: a folder is not there, or an output can't be written.
    """
    for output in args.output:
        names.check("kind of report", paths.of(output).suffix, _FORMATS)
        saving.check_file(output)
    found = report_files.collect(args.folders)
    tables = sections(found)
    for output in args.output:
        text = _FORMATS[paths.of(output).suffix](tables, found.skipped)
        saving.write_text(output, text)
    for warning in found.skipped:
        print(f"mtf_synthesizer: warning: left out: {warning}", file=sys.stderr)
    counts = f"{len(found.runs)} evaluated models, {len(found.costs)} costs, "
    print(f"{counts}{len(found.benchmarks)} benchmarks; written to {', '.join(args.output)}")


def sections(found: Found) -> list[Section]:
    """Every table of the paper, then our small experiments, and all else that was found."""
    boards = {board.table: board for board in paper.LEADERBOARDS}
    beside: dict[int, list[Columns]] = {
        2: report_costs.of_table_2(found.costs),
        4: [*report_costs.of_table_4(found.costs), *report_costs.speeds(found.benchmarks)],
        7: report_costs.of_table_7(),
    }
    tables = []
    for number in sorted({*boards, *(column.table for column in paper.COLUMNS)}):
        parts = [
            report_scores.of_column(column, found.runs)
            for column in paper.COLUMNS
            if column.table == number
        ]
        if number in boards:
            parts.append(report_scores.of_leaderboard(boards[number], found.runs))
        tables.append(report_section.of_paper(number, [*parts, *beside.get(number, [])]))
    others = [*report_scores.small(found.runs), *report_scores.others(found.runs)]
    return [*tables, *others, *report_costs.documents(found)]
