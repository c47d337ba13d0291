"""The tables of `report`: results of this package's experiments, then the paper's tables."""

from __future__ import annotations

from mtf_synthesizer.studies.report import costs, paper, scores, section
from mtf_synthesizer.studies.report.files import CollectedResults
from mtf_synthesizer.studies.report.section import Columns, ReportSection


def sections(collected: CollectedResults) -> list[ReportSection]:
    """Tables with results first, then the paper's tables without results."""
    boards = {board.table: board for board in paper.LEADERBOARDS}
    beside: dict[int, list[Columns]] = {
        2: costs.of_table_2(collected.costs),
        4: [*costs.of_table_4(collected.costs), *costs.of_speed_of_table_4(collected.benchmarks)],
        7: costs.of_table_7(collected.benchmarks),
    }
    tables = []
    for number in sorted({*boards, *(column.table for column in paper.COLUMNS)}):
        parts = [
            scores.of_column(column, collected.runs)
            for column in paper.COLUMNS
            if column.table == number
        ]
        if number in boards:
            parts.append(scores.of_leaderboard(boards[number], collected.runs))
        tables.append(section.of_paper(number, [*parts, *beside.get(number, [])]))
    others = [*scores.small(collected.runs), *scores.others(collected.runs)]
    sections = [*others, *tables, *costs.documents(collected)]
    return sorted(sections, key=lambda section: section.is_empty)
