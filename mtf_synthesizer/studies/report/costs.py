"""Columns of parameters, FLOPs and speed, and tables of every `cost` and `bench` file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mtf_synthesizer.studies.report import paper
from mtf_synthesizer.studies.report.files import CollectedResults, Document
from mtf_synthesizer.studies.report.section import NONE, NOT_RUN, Columns, ReportSection

# Rows of older files of `bench`, for lack of the paper's.
_BENCH_ROWS = {"r_plus_v": "rv", "d_plus_v": "dv"}
_BENCH = (
    "mtf_synthesizer bench --rows t5,r,d,r_plus_v,d_plus_v,lightconv,dynconv --size t5-base "
    "--output runs/bench_t5_base.json"
)
_BENCH_ENCODERS = (
    "mtf_synthesizer bench --encoder_only --rows v,linformer,fr,frv --size imdb "
    "--output runs/bench_imdb.json"
)

Row = Mapping[str, Any]
Rows = Mapping[str, Row]


def of_table_2(costs: Sequence[Document]) -> list[Columns]:
    """Parameters of the translation models and of the language models."""
    table = _cost_table(costs, 2)
    translation = {row: table.get(row) for row in paper.TRANSLATION_PARAMETERS.values}
    single = {str(row["row"]): row for document in costs for row in document.rows}
    lm = {row: single.get(f"{row} table2_lm1b") for row in paper.LM_PARAMETERS.values}
    command = "mtf_synthesizer cost --experiment table2_lm1b --synthesizer $row --format json"
    return [
        _quantity(
            paper.TRANSLATION_PARAMETERS,
            lambda row: _millions(translation[row]),
            "mtf_synthesizer cost --table 2 --format json > runs/cost_table2.json",
        ),
        _quantity(
            paper.LM_PARAMETERS,
            lambda row: _millions(lm[row]),
            f"for row in {' '.join(lm)}; do {command} > runs/cost_lm1b_$row.json; done",
        ),
    ]


def of_table_4(costs: Sequence[Document]) -> list[Columns]:
    """Parameters and FLOPs of T5-base, with FLOPs as ratios to the Transformer's."""
    table = _cost_table(costs, 4)
    command = "mtf_synthesizer cost --table 4 --format json > runs/cost_table4.json"
    first = paper.TFLOPS.values["t5"]
    ratios = {row: round(value / first, 3) for row, value in paper.TFLOPS.values.items()}

    def ratio(row: str) -> str:
        value = table.get(row, {}).get("relative_forward_flops")
        return "" if value is None else f"{value:.3f}"

    return [
        _quantity(
            paper.PARAMETERS,
            lambda row: _millions(table.get(row)),
            command,
        ),
        _quantity(paper.Quantity(4, "forward FLOPs / V's", ratios), ratio, command),
    ]


def of_speed_of_table_4(benchmarks: Sequence[Document]) -> list[Columns]:
    """Training steps a second of T5-base, as ratios to the Transformer's."""
    of_t5 = [d for d in benchmarks if d.content["size"] == "t5-base" and not _is_of_encoders(d)]
    return [_speeds(paper.SPEED, [d for d in of_t5 if _is_training(d)], "t5", _BENCH)]


def of_table_7(benchmarks: Sequence[Document]) -> list[Columns]:
    """Training steps a second of encoders, as ratios to the Transformer's."""
    of_imdb = [d for d in benchmarks if d.content["size"] == "imdb" and _is_of_encoders(d)]
    encoders = [d for d in of_imdb if _is_training(d)]
    return [_speeds(paper.ENCODING_SPEED, encoders, "v", _BENCH_ENCODERS)]


def _speeds(
    quantity: paper.Quantity, measured: Sequence[Document], first: str, command: str
) -> Columns:
    times = _by_name(measured[-1].rows) if measured else {}
    reference = quantity.values[first]
    ratios = {row: round(value / reference, 2) for row, value in quantity.values.items()}

    def time(row: str) -> float | None:
        return _time(times.get(row, times.get(_BENCH_ROWS.get(row, row))))

    def ratio(row: str) -> str:
        ours, theirs = time(row), time(first)
        return f"{theirs / ours:.2f}" if ours and theirs else ""

    columns = _quantity(paper.Quantity(quantity.table, "steps/s / V's", ratios), ratio, command)
    if not measured:
        return columns
    instead = [stock for row, stock in _BENCH_ROWS.items() if row not in times and stock in times]
    also = f"; {' and '.join(instead)} there have α, not a plain sum" if instead else ""
    note = f"Speed is measured by {measured[-1].path}{also}."
    return dataclasses.replace(columns, notes=(note,))


def _is_of_encoders(document: Document) -> bool:
    return bool(document.content.get("flags", {}).get("encoder_only"))


def _quantity(quantity: paper.Quantity, ours: Callable[[str], str], *commands: str) -> Columns:
    cells = {
        row: (f"{value:g}", NONE if row == paper.REPORTED else ours(row) or NOT_RUN)
        for row, value in quantity.values.items()
    }
    some = any(cell not in (NONE, NOT_RUN) for _, cell in cells.values())
    lacks = any(cell == NOT_RUN for _, cell in cells.values())
    return Columns(
        (f"{quantity.title}, paper", f"{quantity.title}, ours"),
        cells,
        commands=commands if some else (),
        missing=commands if lacks else (),
    )


def _cost_table(costs: Sequence[Document], number: int) -> Rows:
    tables = [
        document
        for document in costs
        if str(document.content["title"]).startswith(f"Table {number}")
    ]
    return _by_name(tables[-1].rows) if tables else {}


def _by_name(rows: Sequence[Row]) -> dict[str, Row]:
    return {str(row["row"]): row for row in rows}


def _millions(row: Row | None) -> str:
    return f"{row['trainable_parameters'] / 1e6:.1f}" if row else ""


def _is_training(document: Document) -> bool:
    flags = document.content.get("flags", {})
    return flags.get("mode", "train") == "train" and not flags.get("packed")


def _time(row: Row | None) -> float | None:
    """CPU time of a step: on a shared machine CPU time is steadier than wall time."""
    return row.get("cpu_ms") if row else None


def documents(collected: CollectedResults) -> list[ReportSection]:
    """Tables of the files of `cost` and `bench`, one for each file."""
    return [*map(_benchmark, collected.benchmarks), *map(_cost, collected.costs)]


def _cost(document: Document) -> ReportSection:
    return ReportSection(
        f"Cost: {document.content['title']}",
        *_plain(document.rows),
        notes=[f"{document.path}", *map(str, document.content["notes"])],
    )


def _benchmark(document: Document) -> ReportSection:
    content = document.content
    rows = [_compared(row, content["rows"][0]) for row in content["rows"]]
    if _is_training(document) and content["rows"][0]["row"] in ("t5", "v"):
        rows = [row | {"times as fast, paper": _paper_speed(str(row["row"]))} for row in rows]
    flags = content.get("flags", {})
    mode = flags.get("mode", "train")
    return ReportSection(
        f"Bench: {mode}, size {content['size']}",
        *_plain(rows),
        notes=[
            f"{document.path}: {_listed(flags)}",
            f"Measured on {_listed(content['machine'])}",
        ],
    )


def _compared(row: Row, first: Row) -> dict[str, Any]:
    """A row with ratios to the first row: time, and memory above the start."""
    ratios: dict[str, Any] = {}
    if row.get("cpu_ms") and first.get("cpu_ms"):
        ratios["times as fast"] = f"{first['cpu_ms'] / row['cpu_ms']:.2f}"
    memory, memory_of_first = _steps_memory(row), _steps_memory(first)
    if memory and memory_of_first:
        ratios["memory of a step / first's"] = f"{memory / memory_of_first:.2f}"
    return {**row, **ratios}


def _steps_memory(row: Row) -> float | None:
    """Memory of the steps, above the memory before the first step."""
    try:
        return float(row["peak_rss_mib"]) - float(row["base_rss_mib"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _paper_speed(row: str) -> str:
    name = {stock: ours for ours, stock in _BENCH_ROWS.items()}.get(row, row)
    values = paper.SPEED.values
    return f"{values[name] / values['t5']:.2f}" if name in values else NONE


def _plain(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of all columns that hold single values."""
    heads = dict.fromkeys(
        k for row in rows for k, v in row.items() if not isinstance(v, dict | list)
    )
    lines = [[_shown(row.get(head)) for head in heads] for row in rows]
    return [head.replace("_", " ") for head in heads], lines


def _shown(value: Any) -> str:
    if value in (None, ""):
        return NONE
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
