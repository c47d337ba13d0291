"""Parameters and FLOPs of a model as a table, JSON or CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mtf_synthesizer.studies.cost.device import report as device_report

if TYPE_CHECKING:
    from mtf_synthesizer.studies.cost.device.measure import DeviceCost
    from mtf_synthesizer.studies.cost.rows import CostRow


@dataclasses.dataclass(frozen=True)
class CostReport:
    """Lines of a table, and notes.

    Attributes:
      title: title of the lines.
      lines: column -> value, with the same columns in each line.
      rows: content of the JSON output, instead of the lines.
      notes: notes on the numbers.
      below: a second table under the first.
      columns: columns that CSV adds to the last line.
    """

    title: str
    lines: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    below: CostReport | None = None
    columns: dict[str, Any] = dataclasses.field(default_factory=dict)


def of_row(row: CostRow, device: DeviceCost | None = None) -> CostReport:
    """A line for each component and its parts, with the graph's count beside the formula."""
    lines = [line for name in row.counted for line in _component(row, name)]
    lines.append(_line("total", "", row.total, _verdict(row, row.differing())))
    summary = {"row": row.name} | _numbers(row.total)
    summary |= {"formula_equals_graph": None if row.why_no_formula else not row.differing()}
    summary |= {"batch_size": row.batch.rows, "lengths": row.batch.lengths}
    summary |= {"packed": row.batch.packed, "components": lines}
    lengths = " + ".join(map(str, row.batch.lengths))
    packed = ", packed" if row.batch.packed else ""
    title = f"{row.name}: batch of {row.batch.rows} x {lengths} tokens{packed}"
    if device is None:
        return CostReport(title, lines, [summary], _notes(row))
    summary["device"] = device_report.as_json(device)
    below = CostReport(
        device_report.title(device), device_report.lines(device), [], device_report.notes(device)
    )
    return CostReport(title, lines, [summary], _notes(row), below, device_report.as_columns(device))


def _notes(row: CostRow) -> tuple[str, ...]:
    notes = []
    if row.why_no_formula:
        notes.append(f"{row.why_no_formula}: all numbers are counted from the graph")
    if row.freezes:
        notes.append("run.variable_filter is set: variables that it freezes are counted as trained")
    return tuple(notes)


def _component(row: CostRow, name: str) -> list[dict[str, Any]]:
    """One line for the component, then one line for each of its parts."""
    parts = [part for part in row.parts if part.component == name and part.detail]
    lines = [_line(name, "", row.counted[name], _verdict(row, {name} & set(row.differing())))]
    return lines + [_line(name, part.detail, part.cost, "") for part in parts]


def _verdict(row: CostRow, differing: Sequence[str] | set[str]) -> str:
    if row.why_no_formula:
        return "none"
    return f"differs: {', '.join(differing)}" if differing else "equal"


def _line(name: str, part: str, cost: Any, verdict: str) -> dict[str, Any]:
    return {"component": name, "part": part} | _numbers(cost) | {"formula": verdict}


def _numbers(cost: Any) -> dict[str, Any]:
    from mtf_synthesizer.studies.cost.rows import numbers

    return numbers(cost)


def _as_table(report: CostReport) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=report.title, title_justify="left")
    for column in report.lines[0]:
        is_number = any(isinstance(line[column], int | float) for line in report.lines)
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(column.replace("_", " "), justify=justify)
    above = None
    for line in report.lines:
        first, *others = line.values()
        table.add_row("" if first == above else _shown(first), *map(_shown, others))
        above = first
    stream = io.StringIO()
    console = Console(file=stream, width=170)
    console.print(table, highlight=False)
    for note in report.notes:
        console.print(note, highlight=False, markup=False)
    text = "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
    return text if report.below is None else f"{text}\n\n{_as_table(report.below)}"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _as_json(report: CostReport) -> str:
    return json.dumps({"title": report.title, "rows": report.rows, "notes": report.notes}, indent=2)


def _as_csv(report: CostReport) -> str:
    stream = io.StringIO()
    lines = [*report.lines[:-1], report.lines[-1] | report.columns]
    writer = csv.DictWriter(stream, fieldnames=list(lines[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[CostReport], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
}
