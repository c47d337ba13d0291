"""The speed of training steps, rows side by side in one process.

Every row is the same encoder-decoder with another self-attention layer. The rows take turns step
by step, so that whatever else the machine does falls on all of them alike, and processor time is
reported beside wall time: on a shared machine it is the steadier of the two.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence

from mtf_synthesizer.names import UserError, check


@dataclasses.dataclass(frozen=True)
class Size:
    """The shape of a benchmark's model and batch."""

    d_model: int
    d_ff: int
    num_heads: int
    d_kv: int
    num_layers: int
    vocabulary: int
    batch: int
    inputs_length: int
    targets_length: int


SIZES = {
    "tiny": Size(64, 128, 4, 16, 2, 512, 4, 64, 32),
    # So few words that the layers are measured and not the embedding.
    "small": Size(512, 2048, 8, 64, 2, 512, 8, 512, 114),
    "small-32k": Size(512, 2048, 8, 64, 2, 32128, 8, 512, 114),
    "t5-small": Size(512, 2048, 8, 64, 6, 32128, 8, 512, 114),
    "t5-base": Size(768, 3072, 12, 64, 12, 32128, 8, 512, 114),
}


@dataclasses.dataclass
class Result:
    """Measurements of one row: parameters, milliseconds of each step, and the last loss."""

    row: str
    parameters: int
    cpu_ms: list[float] = dataclasses.field(default_factory=list)
    wall_ms: list[float] = dataclasses.field(default_factory=list)

    def summary(self) -> dict[str, float | int | str]:
        """Medians, as the JSON output has them."""
        return {
            "row": self.row,
            "parameters": self.parameters,
            "cpu_ms": round(statistics.median(self.cpu_ms), 1),
            "wall_ms": round(statistics.median(self.wall_ms), 1),
        }


def measure(
    rows: Sequence[str],
    size: Size,
    steps: int,
    *,
    packed: int = 0,
    dropout: float = 0.1,
    threads: int = 0,
    gathered: bool = False,
) -> list[Result]:
    """Runs `steps` training steps of every row, in turns.

    Args:
      rows: names of `benchmark_rows.layers()`.
      size: shape of model and batch.
      steps: measured steps of each row, after one that warms up.
      packed: sequences packed into each row of the batch; 0 for rows that are not packed.
      dropout: dropout rate wherever T5 has dropout.
      threads: processor threads that TensorFlow may use; 0 for all.
      gathered: whether embeddings are looked up, as local_cpu.gin has it, or multiplied by
        one-hot rows, as Mesh has it.

    Returns:
      One result for each row, in the order given.

    Raises:
      UserError: an unknown row, or numbers out of range.
    """
    if steps < 1:
        raise UserError(f"--steps is {steps}; at least one step must be measured")
    if not 0 <= packed <= size.targets_length:
        raise UserError(
            f"--packed is {packed}; a row of {size.targets_length} tokens holds 0 to "
            f"{size.targets_length} sequences"
        )
    if not 0 <= dropout < 1:
        raise UserError(f"--dropout is {dropout}; it must be at least 0 and below 1")
    from mesh_tensorflow.transformer.transformer import VocabEmbedding

    from mtf_synthesizer.benchmark_rows import TrainingStep, layers
    from mtf_synthesizer.embedding import GatheredEmbedding

    known = layers()
    for row in rows:
        check("row", row, known)
    embedding = GatheredEmbedding if gathered else VocabEmbedding
    models = [TrainingStep(known[row], size, packed, dropout, threads, embedding) for row in rows]
    results = [Result(row, m.parameters) for row, m in zip(rows, models, strict=True)]
    for step in range(steps + 1):
        for model, result in zip(models, results, strict=True):
            cpu, wall = _timed(model.run)
            if step:
                result.cpu_ms.append(cpu)
                result.wall_ms.append(wall)
    return results


def _timed(action: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return 1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - wall)


def machine() -> dict[str, str | int | None]:
    """What the figures were measured on."""
    import tensorflow as tf

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `mtf_synthesizer bench`."""
    parser.add_argument(
        "--rows",
        default="t5,r,mesh-r,none",
        help="rows to compare, with commas (default: %(default)s); the first is the reference",
    )
    parser.add_argument("--size", default="small", choices=sorted(SIZES), help="shape")
    parser.add_argument("--steps", type=int, default=10, help="measured steps (default: 10)")
    parser.add_argument(
        "--packed", type=int, default=0, help="sequences in each row (default: 0, not packed)"
    )
    parser.add_argument(
        "--dropout", type=float, default=0.1, help="dropout rate (default: 0.1, as T5)"
    )
    parser.add_argument("--threads", type=int, default=0, help="threads (default: all)")
    parser.add_argument(
        "--gathered_embedding",
        action="store_true",
        help="look embeddings up, as local_cpu.gin does (default: as Mesh, a product with one-hot "
        "rows)",
    )
    parser.add_argument("--format", default="table", choices=["table", "json"])


def main(args: argparse.Namespace) -> int:
    """Runs `mtf_synthesizer bench` and prints its table or JSON."""
    results = measure(
        args.rows.split(","),
        SIZES[args.size],
        args.steps,
        packed=args.packed,
        dropout=args.dropout,
        threads=args.threads,
        gathered=args.gathered_embedding,
    )
    rows = [result.summary() for result in results]
    flags = {
        "packed": args.packed,
        "dropout": args.dropout,
        "threads": args.threads,
        "gathered_embedding": args.gathered_embedding,
    }
    if args.format == "json":
        print(
            json.dumps(
                {"size": args.size, "machine": machine(), "flags": flags, "rows": rows}, indent=2
            )
        )
        return 0
    print_table(args.size, args.packed, rows)
    return 0


def print_table(size: str, packed: int, rows: Sequence[dict]) -> None:
    """Prints medians and their ratio to the first row."""
    from rich.console import Console
    from rich.table import Table

    title = f"training step, size {size}" + (f", {packed} sequences a row" if packed else "")
    table = Table(title=title)
    for column in ("row", "parameters", "CPU ms", "wall ms", f"CPU time / {rows[0]['row']}"):
        table.add_column(column, justify="left" if column == "row" else "right")
    for row in rows:
        ratio = row["cpu_ms"] / rows[0]["cpu_ms"]
        table.add_row(
            row["row"],
            f"{row['parameters']:,}",
            f"{row['cpu_ms']:.0f}",
            f"{row['wall_ms']:.0f}",
            f"{ratio:.2f}",
        )
    Console().print(table)
