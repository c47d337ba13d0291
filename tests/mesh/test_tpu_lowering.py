"""The check of graphs for TPUs finds what a TPU can't do, and every row of the paper's tables."""

import importlib
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu
from tensorflow.python.tpu.ops import tpu_ops

from mtf_synthesizer.studies.report import paper

CHECKS = pathlib.Path(__file__).resolve().parent.parent / "checks"


@pytest.fixture
def check(monkeypatch):
    """Imports a module of checks/."""
    monkeypatch.syspath_prepend(CHECKS)
    return importlib.import_module


def look_at(check, computation, shape=(3, 5), cores=2):
    """The findings in a computation that is replicated for some cores."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, shape)
        tpu.replicate(computation, [[x]] * cores)
        inside = [o for o in graph.get_operations() if "_tpu_replicate" in o.node_def.attr]
    return check("tpu_kernels").look_at(inside)


def test_what_a_tpu_does(check):
    def computation(x):
        x = tf.cast(x, tf.bfloat16)
        x = tf.while_loop(lambda x: tf.reduce_sum(x) < 7, lambda x: x + 1, [x])
        pair = tpu_ops.cross_replica_sum(x, [[0, 1], [2, 3]])
        alone = tpu_ops.cross_replica_sum(x, [[0], [1], [2], [3]])
        turned = tpu_ops.all_to_all(x[:, :4], 0, 1, 4, [[0, 1, 2, 3]])
        moved = tpu_ops.collective_permute(x, [[0, 1], [1, 2], [2, 3], [3, 0]])
        return [tf.nn.softmax(tf.matmul(pair + alone + moved, x, transpose_b=True)), turned]

    found = look_at(check, computation, cores=4)
    assert (found.unsupported, found.dynamic) == ((), ())
    assert dict(found.collectives) == {
        ("CrossReplicaSum", 2): 1,
        ("AllToAll", 4): 1,
        ("CollectivePermute", 4): 1,
    }


@pytest.mark.parametrize(
    "operation, type_",
    [
        (lambda x: tf.strings.as_string(x), "AsString"),
        (lambda x: tf.Print(x, [x]), "Print"),
        (lambda x: tf.py_func(np.sin, [x], tf.float32), "PyFunc"),
    ],
)
def test_an_operation_without_a_kernel(check, operation, type_):
    found = look_at(check, operation)
    assert any(each.startswith(f"{type_} ") for each in found.unsupported)


def test_a_type_without_a_kernel(check):
    found = look_at(check, lambda x: tf.cumsum(tf.cast(x, tf.int16)))
    (each,) = found.unsupported
    assert each.startswith("Cumsum ") and "int16" in each
    assert not look_at(check, tf.cumsum).unsupported


@pytest.mark.parametrize(
    "operation", [lambda x: tf.where(x > 0), lambda x: tf.unique(tf.reshape(x, [-1]))[0]]
)
def test_a_shape_that_is_not_known(check, operation):
    assert look_at(check, operation).dynamic


def test_a_batch_of_unknown_size(check):
    assert look_at(check, tf.square, shape=[None, 5]).dynamic


def test_rounds_of_loops_count(check):
    tf.disable_control_flow_v2()  # as Mesh
    with tf.Graph().as_default() as graph, tf.name_scope("step"):
        x = tf.ones([2])

        def body(i, x):
            return i + 1, tpu_ops.cross_replica_sum(x, [[0, 1]])

        tf.while_loop(lambda i, x: i < 5, body, [tf.constant(0), x])
        tpu_ops.cross_replica_sum(x, [[0, 1]])
        count = check("tpu_kernels").collectives(graph.get_operations(), 5)
    assert dict(count) == {("CrossReplicaSum", 2): 6}


def test_what_is_said(check):
    findings = check("tpu_kernels").Findings(3, ("Bad a (string)",) * 7, (), {("AllToAll", 4): 2})
    problems = list(check("tpu_lowering")._problems(findings, {("CrossReplicaSum", 2): 1}))
    assert problems[0] == "not supported: Bad a (string)"
    assert problems[-2:] == [
        "not supported: 2 more",
        "exchanges: 2 AllToAll of 4; planned: 1 CrossReplicaSum of 2",
    ]
    fine = check("tpu_kernels").Findings(3, (), (), {("AllToAll", 4): 2})
    assert not list(check("tpu_lowering")._problems(fine, {("AllToAll", 4): 2}))


def test_every_row_of_every_table_is_checked(check):
    rows = check("tpu_rows").rows()
    cut = {(row.experiment, row.name): row.tables for row in rows if not row.whole}
    for column in (*paper.COLUMNS, *paper.LEADERBOARDS):
        for name in set(column.values) - {paper.REPORTED}:
            assert column.table in cut[column.experiment, name]
    assert {row.name for row in rows if row.whole} == {"v", "r", "d", "r_plus_v"}


@pytest.mark.slow
def test_a_row_lowers(check):
    """With the TensorFlow of the tests; tests/checks/tpu_lowering.py takes one that has TPUs."""
    wanted = ("table2_lm1b", "rv")
    (row,) = (r for r in check("tpu_rows").rows() if (r.experiment, r.name) == wanted)
    for what, found, expected in check("tpu_lowering")._graphs(row):
        assert found.operations > 300, what
        assert not list(check("tpu_lowering")._problems(found, expected))
