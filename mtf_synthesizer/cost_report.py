"""The command `cost`: what it asks for, and its report as a table, JSON or CSV."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mtf_synthesizer import configuration, names

if TYPE_CHECKING:
    from mtf_synthesizer.cost_rows import Row

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
    """

    title: str
    lines: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `cost`, but for those of gin that all commands share."""
    add = command.add_argument
    add("--synthesizer", help=f"one of {' '.join(names.known('synthesizers'))}")
    add("--size", help=f"one of {' '.join(names.known('sizes'))}")
    add("--run", help="lengths and packing (default: pretrain)")
    add("--experiment", help="instead of --run and --size, those of a table of the paper")
    add(
        "--batch_size",
        type=_positive,
        default=1,
        help="rows that FLOPs are counted for (default: %(default)s)",
    )
    add(
        "--vocabulary_size",
        type=_positive,
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
    add("--format", default="table", choices=list(_FORMATS))


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def check(args: argparse.Namespace) -> None:
    """Answers mistakes without TensorFlow.

    Raises:
      names.UserError: an unknown name or file, a misspelt binding, or options that exclude others.
    """
    asked = [
        args.synthesizer,
        args.size,
        args.run,
        args.experiment,
        *args.gin_file,
        *args.gin_param,
    ]
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
            modules=[*configuration.TASK_MODULES, *args.module_import],
        )
    )


def main(args: argparse.Namespace) -> None:
    """Counts and prints. To be called with TensorFlow loaded."""
    from mtf_synthesizer import cost_rows, cost_tables

    if args.table:
        report = cost_tables.TABLES[args.table](args.verbose)
    else:
        row = cost_rows.measure(
            _name(args), wanted(args), args.batch_size, args.vocabulary_size, args.verbose
        )
        report = of_row(row)
    print(_FORMATS[args.format](report))


def _name(args: argparse.Namespace) -> str:
    said = [args.synthesizer, args.size, args.experiment, args.run, *args.gin_file, *args.gin_param]
    return " ".join(part for part in said if part)


def of_row(row: Row) -> Report:
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
    return Report(title, lines, [whole], _notes(row))


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
    from mtf_synthesizer.cost_rows import numbers

    return numbers(cost)


def _as_table(report: Report) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=report.title, title_justify="left")
    for column, value in report.lines[0].items():
        justify: Literal["left", "right"] = "right" if isinstance(value, int | float) else "left"
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
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


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
    writer = csv.DictWriter(stream, fieldnames=list(report.lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.lines)
    return stream.getvalue().rstrip("\n")


_FORMATS: dict[str, Callable[[Report], str]] = {
    "table": _as_table,
    "json": _as_json,
    "csv": _as_csv,
}
