"""The tables of `report`: results of this package's experiments, then the paper's tables."""

from __future__ import annotations

from mtf_synthesizer.studies.report import costs, paper, scores, section
from mtf_synthesizer.studies.report.files import Found
from mtf_synthesizer.studies.report.section import Columns, ReportSection


def sections(found: Found) -> list[ReportSection]:
    """Tables with results first, then the paper's tables without results."""
    boards = {board.table: board for board in paper.LEADERBOARDS}
    beside: dict[int, list[Columns]] = {
        2: costs.of_table_2(found.costs),
        4: [*costs.of_table_4(found.costs), *costs.of_speed_of_table_4(found.benchmarks)],
        7: costs.of_table_7(found.benchmarks),
    }
    tables = []
    for number in sorted({*boards, *(column.table for column in paper.COLUMNS)}):
        parts = [
            scores.of_column(column, found.runs)
            for column in paper.COLUMNS
            if column.table == number
        ]
        if number in boards:
            parts.append(scores.of_leaderboard(boards[number], found.runs))
        tables.append(section.of_paper(number, [*parts, *beside.get(number, [])]))
    others = [*scores.small(found.runs), *scores.others(found.runs)]
    sections = [*others, *tables, *costs.documents(found)]
    return sorted(sections, key=lambda section: section.is_empty)
