"""A table of `report`: columns from several sources, and notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mtf_synthesizer.studies.report import paper

NOT_RUN = "not run"
NONE = "–"  # the value does not exist
PAPER = "paper"  # the last word of the heads of the paper's columns


@dataclasses.dataclass(frozen=True)
class ReportSection:
    """A table of the report.

    Attributes:
      title: title of the table.
      heads: heads of the columns; the first column names the rows.
      rows: cells as text.
      notes: sentences below it.
      commands: commands that made the present values.
      missing: commands that make the missing values.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    missing: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """True if every value that a run of this package could give is missing."""
        cells = [
            cell
            for row in self.rows
            for head, cell in zip(self.heads[1:], row[1:], strict=True)
            if not head.endswith(PAPER)
        ]
        return NOT_RUN in cells and set(cells) <= {NOT_RUN, NONE}


@dataclasses.dataclass(frozen=True)
class Columns:
    """Some columns of a table.

    Attributes:
      heads: heads of the columns; heads of the paper's columns end with "paper".
      cells: row -> text for each head. Other rows get "–" in the paper's columns and "not run"
        in ours.
      notes, commands, missing: as in the section.
    """

    heads: tuple[str, ...]
    cells: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def of(self, row: str) -> tuple[str, ...]:
        """The cells of a row."""
        ours = NONE if row == paper.REPORTED else NOT_RUN
        empty = tuple(NONE if head.endswith(PAPER) else ours for head in self.heads)
        return self.cells.get(row, empty)


def of_paper(number: int, parts: Sequence[Columns]) -> ReportSection:
    """A table of the paper: its rows in its order, then our additional rows."""
    rows = dict.fromkeys(row for part in parts for row in part.cells)
    order = [row for row in paper.LABELS if row in rows]
    order += [row for row in rows if row not in paper.LABELS]
    lines = [[paper.LABELS.get(row, row), *(c for p in parts for c in p.of(row))] for row in order]
    return ReportSection(
        title=f"Table {number}: {paper.TITLES[number]}",
        heads=["model", *(head for part in parts for head in part.heads)],
        rows=lines,
        notes=[*paper.NOTES.get(number, ()), *_once(note for part in parts for note in part.notes)],
        commands=_once(command for part in parts for command in part.commands),
        missing=_once(command for part in parts for command in part.missing),
    )


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
