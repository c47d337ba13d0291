"""The table that `warm-start` prints: loaded, changed, new and dropped variables."""

from __future__ import annotations

import io
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtf_synthesizer.training.warm_start.begin import Begun

_BLOCK = re.compile(r"block_\d+|layer_\d+(?=/.*layer_\d+)")


def describe(model_dir: str, begun: Begun) -> str:
    """Return a table of loaded, changed, new and dropped variables, and notes."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{begun.start.path} -> {model_dir}, step {begun.start.step}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in ("variable", "from", "change"):
        table.add_column(column, overflow="fold")
    for column in ("variables", "numbers"):
        table.add_column(column, justify="right")
    for (name, source, change), (count, size) in _lines(begun):
        table.add_row(name, source, change, f"{count:,}", f"{size:,}")
    stream = io.StringIO()
    Console(file=stream, width=170, highlight=False).print(table)
    text = "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
    return f"{text}\n{_notes(model_dir, begun)}"


def _lines(begun: Begun) -> Iterator[tuple[tuple[str, str, str], tuple[int, int]]]:
    """Yield the lines of the table; a variable of all blocks takes one line."""
    counts: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    for name, source, change, size in _rows(begun):
        key = (_BLOCK.sub("*", name), _BLOCK.sub("*", source), change)
        counts[key] += 1
        sizes[key] += size
    return ((key, (counts[key], sizes[key])) for key in counts)


def _rows(begun: Begun) -> Iterator[tuple[str, str, str, int]]:
    for entry in begun.plan.entries:
        source = entry.source or ""
        yield (
            entry.name,
            "" if source == entry.name else source,
            entry.description,
            math.prod(entry.shape),
        )
    for name, shape in begun.plan.dropped.items():
        yield "", name, "dropped", math.prod(shape)


def _notes(model_dir: str, begun: Begun) -> str:
    vocabulary = begun.vocabulary or (
        "unknown: give it with --vocabulary to use the model, unless it is T5's public vocabulary"
    )
    return (
        "optimizer: its variables are not loaded and begin at zero\n"
        f"vocabulary: {vocabulary}\n"
        f"step: {begun.start.step}, as in T5's fine-tuning. With --init_checkpoint {model_dir}, "
        f"--steps counts from this step; with --model_dir {model_dir}, from 0"
    )
