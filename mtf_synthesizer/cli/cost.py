"""The command `cost`: its options and its run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import positive
from mtf_synthesizer.config import mesh_option, request
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


def add_arguments(command: Parser) -> None:
    """Add the options of `cost`."""
    options.add_synthesizer(command, default="Needed without --table.")
    options.add_size(command, "Needed without --table and --experiment.")
    command.group("model").add_argument(
        "--vocabulary_size",
        type=positive,
        default=_VOCABULARY,
        metavar="N",
        help="Number of pieces, rounded up to a multiple of 128. Default: %(default)s, as T5's.",
    )
    options.add_run(command, "Default: pretrain.")
    options.add_experiment(
        command, "Shared settings of a table's rows, instead of --run and --size."
    )
    options.add_batch_size(
        command,
        "Sequences that FLOPs are counted for. Default: 1; with --mesh_shape the batch of the "
        "configuration.",
    )
    command.group("run").add_argument(
        "--table",
        type=int,
        choices=[1, 2, 4],
        help="Table of the paper whose parameters and FLOPs are reproduced. Default: one "
        "configuration is counted.",
    )
    _add_mesh_options(command)
    options.add_format(command, FORMATS)
    options.add_gin(command)
    options.add_modules(command)
    options.add_verbose(command)


def _add_mesh_options(command: Parser) -> None:
    add = command.group("devices").add_argument
    add(
        "--mesh",
        metavar="NAME:N,NAME:N",
        help="Mesh of devices in the words of `train`, for example data:4,heads:2: also count what "
        "each device holds and exchanges in a training step. Default: no mesh.",
    )
    add(
        "--mesh_shape",
        metavar="AXIS:N;...",
        help='Mesh in the syntax of Mesh-TensorFlow, for example "batch:4;model:2". Default: '
        "--mesh.",
    )
    add(
        "--layout",
        metavar="DIM:AXIS;...",
        help="Axis of the mesh that splits each dimension, for example "
        '"batch:batch;heads:model;d_ff:model;vocab:model". Default: the layout of the '
        "configuration.",
    )


def run(args: argparse.Namespace) -> None:
    """Count and print.

    Raises:
      errors.UserError: a name or file is unknown, a binding is misspelt, or options exclude others.
    """
    check(args)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies.cost import paper_tables
    from mtf_synthesizer.studies.cost import rows as cost_rows

    if args.table:
        report = paper_tables.TABLES[args.table](args.verbose)
    else:
        device = _on_mesh(args)
        rows = device.rows if device else args.batch_size or 1
        row = cost_rows.measure(
            _name(args), configuration(args), rows, args.vocabulary_size, args.verbose
        )
        report = of_row(row, device)
    print(FORMATS[args.format](report))


def check(args: argparse.Namespace) -> None:
    """Check the options without TensorFlow."""
    _translate_mesh(args)
    _check_mesh(args)
    if not args.table:
        configuration(args)
        return
    names = ["synthesizer", "synthesizer_layers", "size", "run", "experiment", "mesh_shape"]
    names += ["gin_file", "gin_param"]
    flags = [f"--{name}" for name in names if getattr(args, name)]
    if flags:
        raise errors.UserError(
            f"--table {args.table}: the table has its own configurations. Leave out "
            f"{', '.join(flags)}"
        )


def configuration(args: argparse.Namespace) -> request.Configuration:
    """Return the requested configuration, as `train` builds it."""
    return request.for_training(
        request.Request(
            task=_NO_TASK,
            synthesizer=options.read_synthesizer(args),
            size=args.size,
            run=args.run,
            experiment=args.experiment,
            gin_files=args.gin_file,
            gin_params=args.gin_param,
            modules=options.read_modules(args),
        )
    )


def _on_mesh(args: argparse.Namespace) -> DeviceCost | None:
    """Return the cost of each device; None without a mesh."""
    if args.mesh_shape is None:
        return None
    from mtf_synthesizer.studies.cost.device import measure

    return measure.measure(
        configuration(args),
        args.mesh_shape,
        args.layout,
        args.batch_size,
        args.vocabulary_size,
        args.verbose,
    )


def _name(args: argparse.Namespace) -> str:
    names = [options.read_synthesizer(args), args.size, args.experiment, args.run]
    return " ".join(part for part in (*names, *args.gin_file, *args.gin_param) if part)


def _translate_mesh(args: argparse.Namespace) -> None:
    """Put --mesh into the syntax of Mesh-TensorFlow.

    Raises:
      errors.UserError: the mesh is given twice.
    """
    if args.mesh is None:
        return
    flags = [f"--{name}" for name in ("mesh_shape", "layout") if getattr(args, name) is not None]
    if flags:
        raise errors.UserError(
            f"--mesh {args.mesh}: {', '.join(flags)} also gives a mesh. Leave one out"
        )
    mesh = mesh_option.parse(args.mesh)
    args.mesh_shape, args.layout = mesh.shape, mesh.layout


def _check_mesh(args: argparse.Namespace) -> None:
    """Check the mesh without TensorFlow.

    Raises:
      errors.UserError: the mesh is missing or impossible.
    """
    if args.mesh_shape is not None:
        layout.parse(args.mesh_shape, args.layout)
    elif args.layout is not None:
        raise errors.UserError(
            f"--layout {args.layout}: --mesh_shape is missing. Give a mesh, for example "
            '--mesh_shape "batch:4;model:2"'
        )
