"""The command `cost`: its options, and its report as a table, JSON or CSV."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import add_gin, add_modules, add_verbose, modules, positive
from mtf_synthesizer.config import gin_files, request
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.studies.cost.device import layout
from mtf_synthesizer.studies.cost.report import FORMATS, of_row

if TYPE_CHECKING:
    from mtf_synthesizer.studies.cost.device.measure import DeviceCost

EXAMPLE = (
    "mtf_synthesizer cost --synthesizer rv --size base\n"
    "  mtf_synthesizer cost --table 4 --format csv"
)
_NO_TASK = "none"  # the cost of a model does not depend on its task
_VOCABULARY = 32_128  # size of T5's vocabulary, rounded up by Mesh


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `cost`."""
    add = command.add_argument
    add("--synthesizer", help=f"one of {' '.join(gin_files.known('synthesizers'))}")
    add("--size", help=f"one of {' '.join(gin_files.known('sizes'))}")
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
    _add_mesh_options(command)
    add("--format", default="table", choices=list(FORMATS))
    add_gin(command)
    add_modules(command)
    add_verbose(command)


def _add_mesh_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a mesh to those of `cost`."""
    add = command.add_argument
    add(
        "--mesh_shape",
        help='a mesh of devices, for example "batch:4;model:2": what each of them holds and '
        "exchanges in a training step",
    )
    add(
        "--layout",
        help="which dimension is split over which axis of the mesh, for example "
        '"batch:batch;heads:model;d_ff:model;vocab:model" (default: the configuration\'s)',
    )


def run(args: argparse.Namespace) -> None:
    """Count and print.

    Raises:
      errors.UserError: a name or file is unknown, a binding is misspelt, or options exclude others.
    """
    _check(args)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies.cost import paper_tables
    from mtf_synthesizer.studies.cost import rows as cost_rows

    if args.table:
        report = paper_tables.TABLES[args.table](args.verbose)
    else:
        device = _on_mesh(args)
        rows = device.rows if device else args.batch_size or 1
        row = cost_rows.measure(_name(args), wanted(args), rows, args.vocabulary_size, args.verbose)
        report = of_row(row, device)
    print(FORMATS[args.format](report))


def _check(args: argparse.Namespace) -> None:
    """Check the options without TensorFlow."""
    asked = [
        args.synthesizer,
        args.size,
        args.run,
        args.experiment,
        args.mesh_shape,
        *args.gin_file,
        *args.gin_param,
    ]
    _check_mesh(args)
    if args.table and any(asked):
        raise errors.UserError(
            f"--table {args.table} brings its configurations: leave out all others"
        )
    if not args.table:
        wanted(args)


def wanted(args: argparse.Namespace) -> request.Configuration:
    """The requested configuration, as `train` builds it."""
    return request.for_training(
        request.Request(
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
    """The cost of each device, if a mesh is given."""
    if args.mesh_shape is None:
        return None
    from mtf_synthesizer.studies.cost.device import measure

    return measure.measure(
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


def _check_mesh(args: argparse.Namespace) -> None:
    """Check the options without TensorFlow.

    Raises:
      errors.UserError: the mesh is missing or impossible.
    """
    if args.mesh_shape is not None:
        layout.parse(args.mesh_shape, args.layout)
    elif args.layout is not None:
        raise errors.UserError(
            f"--layout {args.layout} without a mesh: add --mesh_shape, for example "
            '--mesh_shape "batch:4;model:2"'
        )
