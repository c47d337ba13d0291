"""The command `cost`: what it asks for, and its report as a table, JSON or CSV."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mtf_synthesizer import configuration, names, quiet
from mtf_synthesizer.costs import device_report
from mtf_synthesizer.shared_arguments import (
    add_gin,
    add_modules,
    add_verbose,
    modules,
    positive,
)

if TYPE_CHECKING:
    from mtf_synthesizer.costs.cost_rows import Row
    from mtf_synthesizer.costs.device_cost import DeviceCost

EXAMPLE = (
    "mtf_synthesizer cost --synthesizer rv --size base\n"
    "  mtf_synthesizer cost --table 4 --format csv"
)
_NO_TASK = "none"  # a model costs the same whatever it is trained on
_VOCABULARY = 32_128  # T5's, as Mesh rounds it up


@dataclasses.dataclass(frozen=True)
class Report:
    """Lines to show.

    Attributes:
      title: what they are.
      lines: column -> value, the same columns in each.
      rows: what JSON has instead of the lines.
      notes: what to know of the numbers.
      below: a second table under the first.
      columns: what CSV adds to the last line.
    """

    title: str
    lines: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()
    below: Report | None = None
    columns: dict[str, Any] = dataclasses.field(default_factory=dict)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `cost`."""
    add = command.add_argument
    add("--synthesizer", help=f"one of {' '.join(names.known('synthesizers'))}")
    add("--size", help=f"one of {' '.join(names.known('sizes'))}")
    add("--run", help="lengths and packing (default: pretrain)")
    add("--experiment", help="instead of --run and --size, those of a table of the paper")
    add(
        "--batch_size",
        type=positive,
        help="rows that FLOPs are counted for (default: 1; with a mesh the configuration's batch)",
    )
    add(
        "--vocabulary_size",
        type=positive,
        default=_VOCABULARY,
        help="words, rounded up to a multiple of 128 (default: %(default)s, T5's)",
    )
    add(
        "--table",
        type=int,
        choices=[1, 2, 4],
        help="instead of a configuration, what a table of the paper says of parameters and FLOPs, "
        "beside ours",
    )
    device_report.add_arguments(command)
    add("--format", default="table", choices=list(_FORMATS))
    add_gin(command)
    add_modules(command)
    add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Counts and prints.

    Raises:
      names.UserError: an unknown name or file, a misspelt binding, or options that exclude others.
    """
    _check(args)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer.costs import cost_rows, cost_tables

    if args.table:
        report = cost_tables.TABLES[args.table](args.verbose)
    else:
        device = _on_mesh(args)
        rows = device.rows if device else args.batch_size or 1
        row = cost_rows.measure(_name(args), wanted(args), rows, args.vocabulary_size, args.verbose)
        report = of_row(row, device)
    print(_FORMATS[args.format](report))


def _check(args: argparse.Namespace) -> None:
    """Answers mistakes without TensorFlow."""
    asked = [
        args.synthesizer,
        args.size,
        args.run,
        args.experiment,
        args.mesh_shape,
        *args.gin_file,
        *args.gin_param,
    ]
    device_report.check(args)
    if args.table and any(asked):
        raise names.UserError(
            f"--table {args.table} brings its configurations: leave out all others"
        )
    if not args.table:
        wanted(args)


def wanted(args: argparse.Namespace) -> configuration.Configuration:
    """The configuration that is asked for, as `train` has it."""
    return configuration.for_training(
        configuration.Request(
            task=_NO_TASK,
            synthesizer=args.synthesizer,
            size=args.size,
            run=args.run,
            experiment=args.experiment,
            gin_files=args.gin_file,
            gin_params=args.gin_param,
            modules=modules(args),
        )
    )


def _on_mesh(args: argparse.Namespace) -> DeviceCost | None:
    """What each device has to do, where a mesh is asked for."""
    if args.mesh_shape is None:
        return None
    from mtf_synthesizer.costs import device_cost

    return device_cost.measure(
        wanted(args),
        args.mesh_shape,
        args.layout,
        args.batch_size,
        args.vocabulary_size,
        args.verbose,
    )


def _name(args: argparse.Namespace) -> str:
    said = [args.synthesizer, args.size, args.experiment, args.run, *args.gin_file, *args.gin_param]
    return " ".join(part for part in said if part)


def of_row(row: Row, device: DeviceCost | None = None) -> Report:
    """A line for each component and its parts, with what the graph says beside the formula."""
    lines = [line for name in row.counted for line in _component(row, name)]
    lines.append(_line("total", "", row.total, _verdict(row, row.differing())))
    whole = {"row": row.name} | _numbers(row.total)
    whole |= {"formula_equals_graph": None if row.why_no_formula else not row.differing()}
    whole |= {"batch_size": row.batch.rows, "lengths": row.batch.lengths}
    whole |= {"packed": row.batch.packed, "components": lines}
    lengths = " + ".join(map(str, row.batch.lengths))
    packed = ", packed" if row.batch.packed else ""
    title = f"{row.name}: batch of {row.batch.rows} x {lengths} tokens{packed}"
    if device is None:
        return Report(title, lines, [whole], _notes(row))
    whole["device"] = device_report.as_json(device)
    below = Report(
        device_report.title(device), device_report.lines(device), [], device_report.notes(device)
    )
    return Report(title, lines, [whole], _notes(row), below, device_report.as_columns(device))


def _notes(row: Row) -> tuple[str, ...]:
    notes = []
    if row.why_no_formula:
        notes.append(f"{row.why_no_formula}: all numbers are the graph's")
    if row.freezes:
        notes.append("run.variable_filter is set: what it freezes is counted as trained")
    return tuple(notes)


def _component(row: Row, name: str) -> list[dict[str, Any]]:
    """One line, and below it one for each of its parts."""
    parts = [part for part in row.parts if part.component == name and part.what]
    lines = [_line(name, "", row.counted[name], _verdict(row, {name} & set(row.differing())))]
    return lines + [_line(name, part.what, part.cost, "") for part in parts]


def _verdict(row: Row, differing: Sequence[str] | set[str]) -> str:
    if row.why_no_formula:
        return "none"
    return f"differs: {', '.join(differing)}" if differing else "equal"


def _line(name: str, part: str, cost: Any, verdict: str) -> dict[str, Any]:
    return {"component": name, "part": part} | _numbers(cost) | {"formula": verdict}


def _numbers(cost: Any) -> dict[str, Any]:
    from mtf_synthesizer.costs.cost_rows import numbers

    return numbers(cost)


def _as_table(report: Report) -> str:
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


def _as_json(report: Report) -> str:
    return json.dumps({"title": report.title, "rows": report.rows, "notes": report.notes}, indent=2)


def _as_csv(report: Report) -> str:
    stream = io.StringIO()
    lines = [*report.lines[:-1], report.lines[-1] | report.columns]
    writer = csv.DictWriter(stream, fieldnames=list(lines[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue().rstrip("\n")


_FORMATS: dict[str, Callable[[Report], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
}
