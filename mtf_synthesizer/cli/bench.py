"""The command `bench`: time and memory of steps, with rows side by side."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from mtf_synthesizer.cli.options import add_precision, add_verbose, listed, numbers
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.studies.bench import sweep, tables
from mtf_synthesizer.studies.bench.memory import of_row
from mtf_synthesizer.studies.bench.setting import MODES, ROWS, SIZES, Setting

EXAMPLE = (
    "mtf_synthesizer bench --rows t5,r --steps 10\n"
    "  mtf_synthesizer bench --rows t5,r --mode greedy --format json\n"
    "  mtf_synthesizer bench --sweep"
)
_ROWS = "t5,r,mesh-r,none"
_SWEPT_ROWS = "t5,r,fr,linformer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `bench`."""
    add = parser.add_argument
    add(
        "--rows",
        type=listed,
        help=f"rows to compare, with commas, of {' '.join(ROWS)}; the first is the reference "
        f"(default: {_ROWS}; with --sweep {_SWEPT_ROWS})",
    )
    add("--mode", default="train", choices=list(MODES), help="what a step is (default: train)")
    add("--size", default="small", choices=sorted(SIZES), help="shape (default: small)")
    add("--steps", type=int, default=10, help="measured steps (default: 10)")
    add("--packed", type=int, default=0, help="sequences in each row (default: 0, not packed)")
    add("--dropout", type=float, default=0.1, help="dropout rate (default: 0.1, as T5)")
    add("--threads", type=int, default=0, help="threads (default: all)")
    add(
        "--gathered_embedding",
        action="store_true",
        help="look embeddings up, as local_cpu.gin does (default: as Mesh, a product with one-hot "
        "rows)",
    )
    add(
        "--fast_cpu",
        action="store_true",
        help="attention, norms and Adafactor in fewer passes, as fast_cpu.gin has them (default: "
        "T5's and Mesh's own)",
    )
    add(
        "--parts",
        action="store_true",
        help="forward, backward and optimizer apart, in training; takes about twice as long",
    )
    add(
        "--sweep",
        type=numbers,
        nargs="?",
        const=sweep.LENGTHS,
        metavar="LENGTH,LENGTH",
        help="time at several lengths with as many tokens in a batch, and how it grows (default "
        f"lengths: {','.join(map(str, sweep.LENGTHS))})",
    )
    add(
        "--no_memory",
        "--no-memory",
        dest="memory",
        action="store_false",
        help="leave out the peak memory, which takes a fresh process for each row",
    )
    add("--format", default="table", choices=["table", "json"])
    add_precision(parser)
    add_verbose(parser)


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Raises:
      UserError: unknown rows, numbers out of range, flags that exclude each other.
    """
    _check(args)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    document = _measured(args)
    if args.format == "json":
        print(json.dumps(document, indent=2))
    elif args.sweep:
        tables.print_sweep(document)
    else:
        tables.print_rows(document)


def _check(args: argparse.Namespace) -> None:
    """Check the options without TensorFlow."""
    if args.steps < 1:
        raise UserError(f"--steps is {args.steps}; at least one step must be measured")
    rows, setting = _rows(args), _setting(args)
    if args.parts and args.mode != "train":
        raise UserError(f"--parts is for --mode train; a step of {args.mode} has none")
    if args.parts and args.sweep:
        raise UserError("--parts and --sweep exclude each other")
    setting.check(rows)
    if args.sweep:
        sweep.check(rows, setting, args.sweep)


def _rows(args: argparse.Namespace) -> list[str]:
    return args.rows or listed(_SWEPT_ROWS if args.sweep else _ROWS)


def _setting(args: argparse.Namespace) -> Setting:
    return Setting(
        size=SIZES[args.size],
        mode=args.mode,
        packed=args.packed,
        dropout=args.dropout,
        threads=args.threads,
        gathered=args.gathered_embedding,
        fast=args.fast_cpu,
    )


def _measured(args: argparse.Namespace) -> dict[str, Any]:
    """The document to print: size, machine, flags and rows."""
    from mtf_synthesizer.studies.bench import machine as bench_machine

    rows, setting = _rows(args), _setting(args)
    peak = bench_machine.peak_gflops(args.threads)
    if args.sweep:
        found = sweep.measure(rows, setting, args.steps, args.sweep, peak)
    else:
        found = _compared(rows, setting, args, peak)
    return {
        "size": args.size,
        "machine": bench_machine.description() | {"peak_gflops": round(peak, 1)},
        "flags": {
            "mode": args.mode,
            "steps": args.steps,
            "packed": args.packed,
            "dropout": args.dropout,
            "threads": args.threads,
            "gathered_embedding": args.gathered_embedding,
            "fast_cpu": args.fast_cpu,
        },
        "rows": found,
    }


def _compared(
    rows: Sequence[str], setting: Setting, args: argparse.Namespace, peak: float
) -> list[dict[str, Any]]:
    from mtf_synthesizer.studies.bench import program, timing

    parts = timing.PARTS if args.parts else (program.STEP,)
    # Memory is measured before models are built here, so that only one model is in memory.
    memory = [of_row(row, setting) for row in rows] if args.memory else []
    timed = timing.measure(rows, setting, args.steps, parts)
    found = [result.summary(peak) for result in timed]
    for summary, measured in zip(found, memory, strict=False):
        summary |= vars(measured)
    return found
