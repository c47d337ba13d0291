"""The command `bench`: its options and its run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import listed, numbers
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


def add_arguments(command: Parser) -> None:
    """Add the options of `bench`."""
    add = command.group("model").add_argument
    add(
        "--rows",
        type=listed,
        metavar="NAME,NAME",
        help=f"Rows to compare; the first one is the reference. Each is one of: {' '.join(ROWS)}. "
        f"Default: {_ROWS}; with --sweep {_SWEPT_ROWS}.",
    )
    add(
        "--size",
        default="small",
        choices=sorted(SIZES),
        help="Shape of the model and the batch. Default: %(default)s.",
    )
    add(
        "--gathered_embedding",
        action="store_true",
        help="Gather rows of the embedding, as local_cpu.gin does. Default: multiply by one-hot "
        "vectors, as Mesh does.",
    )
    add(
        "--fast_cpu",
        action="store_true",
        help="Use the attention, norms and Adafactor of fast_cpu.gin, which make fewer passes. "
        "Default: those of T5 and Mesh.",
    )
    _add_run_options(command)
    command.group("devices").add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads to use. Default: all."
    )
    command.group("output").add_argument(
        "--no_memory",
        "--no-memory",
        dest="memory",
        action="store_false",
        help="Skip the peak memory, which needs a new process for each row.",
    )
    options.add_format(command, ("table", "json"))
    options.add_precision(command)
    options.add_verbose(command)


def _add_run_options(command: Parser) -> None:
    add = command.group("run").add_argument
    add(
        "--mode",
        default="train",
        choices=list(MODES),
        help="Kind of step to measure. Default: %(default)s.",
    )
    add(
        "--steps", type=int, default=10, metavar="N", help="Steps to measure. Default: %(default)s."
    )
    add(
        "--packed",
        type=int,
        default=0,
        metavar="N",
        help="Sequences packed into each row of the batch. Default: 0, rows are not packed.",
    )
    add(
        "--dropout",
        type=float,
        default=0.1,
        metavar="RATE",
        help="Dropout rate. Default: %(default)s, as T5.",
    )
    add(
        "--parts",
        action="store_true",
        help="Also measure forward pass, backward pass and optimizer of a training step, which "
        "takes about twice as long.",
    )
    add(
        "--sweep",
        type=numbers,
        nargs="?",
        const=sweep.LENGTHS,
        metavar="LENGTH,LENGTH",
        help="Measure several sequence lengths with the same number of tokens in a batch, and the "
        f"growth of the time. Default lengths: {','.join(map(str, sweep.LENGTHS))}.",
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Raises:
      UserError: a row is unknown, a number is out of range, or options exclude each other.
    """
    check(args)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    document = _measure(args)
    if args.format == "json":
        print(json.dumps(document, indent=2))
    elif args.sweep:
        tables.print_sweep(document)
    else:
        tables.print_rows(document)


def check(args: argparse.Namespace) -> None:
    """Check the options without TensorFlow."""
    if args.steps < 1:
        raise UserError(f"--steps {args.steps}: nothing to measure. Give 1 or more")
    rows, setting = _rows(args), _setting(args)
    if args.parts and args.mode != "train":
        raise UserError(
            f"--parts: only a training step has parts, not --mode {args.mode}. Leave --parts out"
        )
    if args.parts and args.sweep:
        raise UserError("--parts: --sweep measures whole steps. Leave --parts or --sweep out")
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


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return the document to print: size, machine, flags and rows."""
    from mtf_synthesizer.studies.bench import machine as bench_machine

    rows, setting = _rows(args), _setting(args)
    peak = bench_machine.peak_gflops(args.threads)
    if args.sweep:
        measured = sweep.measure(rows, setting, args.steps, args.sweep, peak)
    else:
        measured = _compare(rows, setting, args, peak)
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
        "rows": measured,
    }


def _compare(
    rows: Sequence[str], setting: Setting, args: argparse.Namespace, peak: float
) -> list[dict[str, Any]]:
    from mtf_synthesizer.studies.bench import program, timing

    parts = timing.PARTS if args.parts else (program.STEP,)
    # Models of this process would take memory from the measured one, so memory comes first.
    memory = [of_row(row, setting) for row in rows] if args.memory else []
    summaries = [
        result.summary(peak) for result in timing.measure(rows, setting, args.steps, parts)
    ]
    for summary, row_memory in zip(summaries, memory, strict=False):
        summary |= vars(row_memory)
    return summaries
