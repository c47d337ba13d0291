"""The tables that `bench` prints from its JSON document."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mtf_synthesizer.studies.bench.setting import MODES

Row = Mapping[str, Any]
_VISIBLE = 0.01  # smallest share of a step in the table of operations


def print_rows(document: Mapping[str, Any]) -> None:
    """Print a line for each row: its measurements, and their ratios to the first row.

    The reference is the first row in the same precision, if it is measured in it.
    """
    rows = document["rows"]
    first = {row["matmul_precision"]: row for row in rows if row["row"] == rows[0]["row"]}
    references = [first.get(row["matmul_precision"], rows[0]) for row in rows]
    columns = {
        title: [
            shown(row, reference) if needed in row else ""
            for row, reference in zip(rows, references, strict=True)
        ]
        for title, needed, shown in _columns(rows[0]["row"])
        if any(needed in row for row in rows)
    }
    _print(_title(document), columns)
    for row in rows:
        if row.get("operations"):
            _print_operations(row)
    _print_machine(document)


def _print_operations(row: Row) -> None:
    """Print the types of operations that take a visible share of a row's step."""
    total = sum(row["operations"].values())
    longest = [
        operation for operation in row["operations"].items() if operation[1] >= _VISIBLE * total
    ]
    columns = {
        "operation": [name for name, _ in longest],
        "ms": [f"{time:.0f}" for _, time in longest],
        "of all": [f"{time / total:.0%}" for _, time in longest],
    }
    _print(f"{row['row']}, {row['matmul_precision']}: a step by type of operation", columns)


def print_sweep(document: Mapping[str, Any]) -> None:
    """Print a line for each row: its time at each length, and the exponents of its growth."""
    rows = document["rows"]
    lengths = [point["length"] for point in rows[0]["lengths"]]
    columns = {
        "row": [row["row"] for row in rows],
        "products": [row["matmul_precision"] for row in rows],
    }
    for index, length in enumerate(lengths):
        columns[f"{length}: CPU ms"] = [f"{row['lengths'][index]['cpu_ms']:.0f}" for row in rows]
    columns["growth"] = [f"{row['growth']:.2f}" for row in rows]
    for index, (length, longer) in enumerate(itertools.pairwise(lengths)):
        columns[f"{length} to {longer}"] = [f"{row['doublings'][index]:.2f}" for row in rows]
    _print(f"{_title(document)}, by length of inputs; growth: g of time ~ length^g", columns)
    _print_machine(document)


def _columns(first: str) -> list[tuple[str, str, Callable[[Row, Row], str]]]:
    """Columns: title, required field, and a function that shows a row beside the first row."""

    def plain(field: str, form: str) -> Callable[[Row, Row], str]:
        return lambda row, reference: form.format(row[field])

    def ratio(field: str) -> Callable[[Row, Row], str]:
        return lambda row, reference: _ratio(row[field], reference[field])

    def needs(row: Row) -> float:
        return row["peak_rss_mib"] - row["base_rss_mib"]

    return [
        ("row", "row", plain("row", "{}")),
        ("products", "matmul_precision", plain("matmul_precision", "{}")),
        ("parameters", "parameters", plain("parameters", "{:,}")),
        ("CPU ms", "cpu_ms", plain("cpu_ms", "{:.0f}")),
        ("wall ms", "wall_ms", plain("wall_ms", "{:.0f}")),
        (f"CPU time / {first}", "cpu_ms", ratio("cpu_ms")),
        ("forward ms", "forward_ms", plain("forward_ms", "{:.0f}")),
        ("backward ms", "backward_ms", plain("backward_ms", "{:.0f}")),
        ("optimizer ms", "optimizer_ms", plain("optimizer_ms", "{:.0f}")),
        ("tokens/s", "tokens_per_second", plain("tokens_per_second", "{:.0f}")),
        (f"tokens/s / {first}", "tokens_per_second", ratio("tokens_per_second")),
        ("cache B/token", "cache_bytes_per_token", plain("cache_bytes_per_token", "{:,.0f}")),
        ("GFLOP/s", "gflops", plain("gflops", "{:.1f}")),
        ("of peak", "share_of_peak", plain("share_of_peak", "{:.0%}")),
        ("at peak ms", "products_at_peak_ms", plain("products_at_peak_ms", "{:.0f}")),
        ("peak - base MiB", "peak_rss_mib", lambda row, reference: f"{needs(row):.0f}"),
        (
            f"memory / {first}",
            "peak_rss_mib",
            lambda row, reference: _ratio(
                needs(row), needs(reference) if "peak_rss_mib" in reference else 0
            ),
        ),
    ]


def _ratio(value: float, reference: float) -> str:
    return f"{value / reference:.2f}" if reference else ""


def _title(document: Mapping[str, Any]) -> str:
    packed = document["flags"]["packed"]
    title = f"{MODES[document['flags']['mode']]}, size {document['size']}"
    return title + (f", {packed} sequences a row" if packed else "")


def _print_machine(document: Mapping[str, Any]) -> None:
    machine = document["machine"]
    peaks = ", ".join(f"{peak:.0f} in {mode}" for mode, peak in machine["peaks"].items())
    versions = ", ".join(
        f"{label} {machine[name]}"
        for label, name in (
            ("TensorFlow", "tensorflow"),
            ("PyTorch", "torch"),
            ("transformers", "transformers"),
        )
        if name in machine
    )
    _console().print(
        f"{machine['processor']}, {machine['cores']} cores, {versions}; matrix product in "
        f"GFLOP/s: {peaks}",
        highlight=False,
        markup=False,
    )


def _print(title: str, columns: Mapping[str, Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == "row" else "right")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    return Console(width=170)
