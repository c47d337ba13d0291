"""Lowers the rows of the paper's tables for TPUs, on a machine without one.

    python tests/checks/tpu_lowering.py                 every row of Tables 2 to 7, in half an hour
    python tests/checks/tpu_lowering.py --rows r,v --experiments table4_c4

For every row the graphs of a training step and of decoding are built as T5 builds them for the
8 cores of a v3-8, in bfloat16 (`tpu_graph`), and looked at: operations or types that XLA has no
kernel for, shapes that are not known before a step, and exchanges between cores other than those
that `mtf_synthesizer cost --mesh_shape` plans with. TPUs need TensorFlow 2.15 or older: the check
runs in an environment of its own, which is built under .stacks/ the first time.
"""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import stacks

if TYPE_CHECKING:
    from tpu_kernels import Findings
    from tpu_rows import Row

_HERE = "--here"  # the environment is the right one
_SHOWN = 5


def main(arguments: list[str]) -> int:
    args = _parser().parse_args(arguments)
    if not args.here:
        python = stacks.build("tf215") / "python"
        command = [python, pathlib.Path(__file__), _HERE, *arguments]
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.run(command, env={**os.environ, **quiet}).returncode
    return _check_rows(args.rows, args.experiments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=lambda text: text.split(","), help="only these")
    parser.add_argument("--experiments", type=lambda text: text.split(","), help="only these")
    parser.add_argument(_HERE, action="store_true", help=argparse.SUPPRESS)
    return parser


def _check_rows(names: list[str] | None, experiments: list[str] | None) -> int:
    import tpu_kernels
    import tpu_rows

    chosen = [
        row
        for row in tpu_rows.rows()
        if (not names or row.name in names) and (not experiments or row.experiment in experiments)
    ]
    print(f"Kernels of {tpu_kernels.xla_device()}; {tpu_rows.MESH}, {tpu_rows.LAYOUT}")
    print(_line("tables", "experiment", "row", "graph", "operations", "exchanges", "verdict"))
    failed = 0
    for row in chosen:
        try:
            for what, found, expected in _graphs(row):
                problems = list(_problems(found, expected))
                failed += bool(problems)
                verdict = "failed" if problems else "lowers"
                print(_described(row, what, found, verdict), flush=True)
                print(*(f"    {problem}\n" for problem in problems), sep="", end="")
        except Exception:  # what else a graph can fail with: the other rows are still checked
            failed += 1
            print(f"{row}: not built\n{traceback.format_exc()}", flush=True)
    print(f"{failed} graphs failed" if failed else "all graphs lower")
    return 1 if failed else 0


def _graphs(row: Row) -> Iterator[tuple[str, Findings, Mapping[tuple[str, int], int]]]:
    """What each graph of a row is called, what is in it, and the exchanges it should have."""
    import tensorflow.compat.v1 as tf
    import tpu_graph
    import tpu_kernels
    import tpu_rows

    from mtf_synthesizer.studies.cost.device import layout, measure
    from mtf_synthesizer.studies.cost.device import training_step as device_training_step
    from mtf_synthesizer.upstream import graph, session

    with session.configured(measure.as_on_tpu(row.configuration()), verbose=False):
        plan = layout.parse(tpu_rows.MESH, tpu_rows.LAYOUT)
        setting = measure._step_setting(plan, row.batch, row.words)
        sizes = dict(plan.axes)
        with tf.Graph().as_default():
            features = {
                n: t.shape.as_list() for n, t in device_training_step._features(setting).items()
            }
        rounds = device_training_step.microbatches(setting)
        with tf.Graph().as_default():
            found = tpu_kernels.look_at(tpu_graph.training(setting, features), rounds)
        planned = measure.of_step(setting, plan).traffic
        yield "training", found, _expected(((t.kind, t.axes, t.operations) for t in planned), sizes)

        predict_fn = graph.bound("run.predict_fn", None)
        inputs = {"inputs": [setting.batch_size, setting.sequence_length["inputs"]]}
        with tf.Graph().as_default():
            found = tpu_kernels.look_at(tpu_graph.decoding(setting, inputs, predict_fn))
        with tf.Graph().as_default():
            planned = tpu_graph.exchanges_of_decoding(setting, inputs, predict_fn)
        yield "decoding", found, _expected(((c.kind, c.axes, 1) for c in planned), sizes)


_TYPES = collections.defaultdict(  # all others are sums, on TPUs
    lambda: "CrossReplicaSum", {"all_to_all": "AllToAll", "permute": "CollectivePermute"}
)


def _expected(
    planned: Iterable[tuple[str, tuple[str, ...], int]], sizes: Mapping[str, int]
) -> collections.Counter[tuple[str, int]]:
    """(type, cores in a group) -> number, as in `Findings`."""
    expected: collections.Counter[tuple[str, int]] = collections.Counter()
    for kind, axes, operations in planned:
        cores = 1
        for axis in axes:
            cores *= sizes[axis]
        expected[_TYPES[kind], cores] += operations
    return expected


def _problems(found: Findings, expected: Mapping[tuple[str, int], int]) -> Iterator[str]:
    for what, each in (
        ("not supported", found.unsupported),
        ("shape not known", found.dynamic),
    ):
        yield from (f"{what}: {name}" for name in each[:_SHOWN])
        if len(each) > _SHOWN:
            yield f"{what}: {len(each) - _SHOWN} more"
    if dict(found.collectives) != dict(expected):
        yield f"exchanges: {_exchanges(found.collectives)}; planned: {_exchanges(expected)}"


def _exchanges(found: Mapping[tuple[str, int], int]) -> str:
    """As "12 CrossReplicaSum of 4"."""
    each = (f"{times} {kind} of {cores}" for (kind, cores), times in sorted(found.items()))
    return ", ".join(each) or "none"


def _described(row: Row, what: str, found: Findings, verdict: str) -> str:
    tables = ", ".join(map(str, row.tables))
    experiment = f"{row.experiment}, whole" if row.whole else row.experiment
    exchanges = _exchanges(found.collectives)
    return _line(tables, experiment, row.name, what, f"{found.operations:,}", exchanges, verdict)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
