"""The command `bench`: time and memory of steps, with rows side by side."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import listed, numbers
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.files import saving
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.studies.bench import lineup, processes, sweep, tables, timing
from mtf_synthesizer.studies.bench.memory import of_entry
from mtf_synthesizer.studies.bench.setting import MODES, ROWS, SIZES, STEP, STOCK, Setting

EXAMPLE = (
    "mtf_synthesizer bench --rows stock,t5,r --steps 10\n"
    "  mtf_synthesizer bench --rows t5,r --mode greedy --format json\n"
    "  mtf_synthesizer bench --sweep"
)
_ROWS = "stock,t5,r,none"
_LAYER_ROWS = "t5,r,mesh-r,none"
_SWEPT_ROWS = "t5,r,fr,linformer"
# Flags that the document repeats.
_FLAGS = (
    "mode",
    "steps",
    "packed",
    "dropout",
    "threads",
    "layer_only",
    "gathered_embedding",
    "fast_cpu",
    "encoder_only",
    "against",
)


def add_arguments(command: Parser) -> None:
    """Add the options of `bench`."""
    _add_model_options(command)
    _add_run_options(command)
    _add_device_options(command)
    add = command.group("output").add_argument
    add(
        "--no_memory",
        dest="memory",
        action="store_false",
        help="Skip the peak memory, which needs a new process for each row.",
    )
    options.add_format(command, ("table", "json"))
    add(
        "--output",
        metavar="FILE",
        help="Also write the JSON document to this file, once all rows are measured. Default: no "
        "file.",
    )
    options.add_verbose(command)


def _add_model_options(command: Parser) -> None:
    add = command.group("model").add_argument
    add(
        "--rows",
        type=listed,
        metavar="NAME,NAME",
        help=f"Rows to compare; the first one is the reference. Each is one of: {' '.join(ROWS)}. "
        f"Default: {_ROWS}; with --layer_only {_LAYER_ROWS}; with --sweep {_SWEPT_ROWS}.",
    )
    add(
        "--size",
        default="small",
        choices=sorted(SIZES),
        help="Shape of the model and the batch. Default: %(default)s.",
    )
    add(
        "--encoder_only",
        action="store_true",
        help="Measure encoders with a target for each token, as in Table 7. Default: "
        "encoder-decoders.",
    )
    add(
        "--layer_only",
        action="store_true",
        help="Give all rows the program of T5 and Mesh, so that only the layer differs. Default: "
        "the program of `train` (local_cpu.gin), but for the rows stock.",
    )
    add(
        "--gathered_embedding",
        action="store_true",
        help="With --layer_only: gather rows of the embedding, as local_cpu.gin does.",
    )
    add(
        "--fast_cpu",
        action="store_true",
        help="With --layer_only: use the attention, norms and Adafactor of fast_cpu.gin.",
    )
    add(
        "--against",
        choices=[lineup.HUGGINGFACE],
        help="Also measure the T5 of transformers with PyTorch, in float32 and in bfloat16 by "
        "autocast. Default: only this package's rows.",
    )


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
        "--operations",
        action="store_true",
        help="Also trace one step and sum the times of TensorFlow's operations by type.",
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


def _add_device_options(command: Parser) -> None:
    add = command.group("devices").add_argument
    add("--threads", type=int, default=0, metavar="N", help="CPU threads to use. Default: all.")
    add(
        precision.FLAG,
        choices=(*precision.CHOICES, lineup.BOTH),
        help="Precision of matrix products of all rows but stock. auto is bfloat16 if the CPU has "
        "instructions for it, else float32; both measures each row in both precisions. Default: "
        f"${precision.VARIABLE}, else auto.",
    )
    add(
        "--huggingface_python",
        metavar="FILE",
        default=processes.HUGGINGFACE_PYTHON,
        help="Python with PyTorch and transformers, for --against. Default: %(default)s, which "
        "`make .huggingface/.installed` builds in a checkout.",
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print.

    Raises:
      UserError: a row is unknown, a number is out of range, options exclude each other, or a
        measuring process has crashed.
    """
    check(args)
    if args.against:
        processes.check_huggingface(args.huggingface_python)
    document = _measure(args)
    if args.output:
        saving.write_json(args.output, document)
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
    if args.output:
        saving.check_file(args.output)
    rows, setting = _rows(args), _setting(args)
    setting.check(rows)
    _check_program(args)
    if args.parts and args.mode != "train":
        raise UserError(
            f"--parts: only a training step has parts, not --mode {args.mode}. Leave --parts out"
        )
    for flag in ("parts", "operations"):
        if getattr(args, flag) and args.sweep:
            raise UserError(
                f"--{flag}: --sweep measures whole steps. Leave --{flag} or --sweep out"
            )
    if args.sweep:
        sweep.check(rows, setting, args.sweep)
    if args.against:
        _check_against(args)


def _check_program(args: argparse.Namespace) -> None:
    stock = [row for row in _rows(args) if row in STOCK]
    if args.layer_only and stock:
        raise UserError(
            f"--layer_only: all rows have the program of {', '.join(stock)}. Give "
            f"{', '.join(STOCK[row] for row in stock)} instead"
        )
    for flag in ("gathered_embedding", "fast_cpu"):
        if getattr(args, flag) and not args.layer_only:
            raise UserError(
                f"--{flag}: only --layer_only leaves a choice. Add --layer_only, or leave "
                f"--{flag} out"
            )


def _check_against(args: argparse.Namespace) -> None:
    for flag in ("packed", "encoder_only", "sweep"):
        if getattr(args, flag):
            raise UserError(
                f"--against {args.against}: not available with --{flag}. Leave one of the two out"
            )


def _rows(args: argparse.Namespace) -> list[str]:
    default = _SWEPT_ROWS if args.sweep else _LAYER_ROWS if args.layer_only else _ROWS
    return args.rows or listed(default)


def _setting(args: argparse.Namespace) -> Setting:
    setting = Setting(
        size=SIZES[args.size],
        mode=args.mode,
        packed=args.packed,
        dropout=args.dropout,
        threads=args.threads,
        gathered=args.gathered_embedding,
        fast=args.fast_cpu,
        encoder_only=args.encoder_only,
    )
    return setting if args.layer_only else setting.as_trained


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return the document to print: size, machine, flags and rows."""
    asked = args.matmul_precision or os.environ.get(precision.VARIABLE) or precision.AUTO
    precisions = lineup.precisions(asked)
    own = lineup.entries(_rows(args), _setting(args), precisions)
    # Models of other processes would take memory from the measured one, so memory comes first.
    memory = [of_entry(entry) for entry in own] if args.memory and not args.sweep else []
    entries = own + (lineup.against(_setting(args)) if args.against else [])
    with processes.Processes(entries, args.huggingface_python, args.verbose) as running:
        machine = running.machine(args.threads)
        rows = _measure_rows(args, running, entries, machine["peaks"])
    for row, row_memory in zip(rows, memory, strict=False):
        row |= vars(row_memory)
    return {
        "size": args.size,
        "machine": machine | {"matmul_precision": " and ".join(precisions)},
        "flags": {name: getattr(args, name) for name in _FLAGS},
        "rows": rows,
    }


def _measure_rows(
    args: argparse.Namespace,
    running: processes.Processes,
    entries: list[lineup.BenchEntry],
    peaks: dict[str, float],
) -> list[dict[str, Any]]:
    if args.sweep:
        return sweep.measure(running, entries, args.steps, args.sweep, peaks)
    parts = timing.PARTS if args.parts else (STEP,)
    results = timing.measure(running, entries, args.steps, parts, args.operations)
    return [result.summary(peaks) for result in results]
