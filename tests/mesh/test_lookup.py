"""Looking tables up by positions, against NumPy indexing; gradients on one and two devices."""

import hypothesis.strategies as st
import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import constant, run
from hypothesis import given, settings

from mtf_synthesizer.attention.positions import Looked, Range, within_sequences
from mtf_synthesizer.mesh.lookup import chosen, take


def evaluated(build):
    """Outputs of a graph without variables."""
    return run(build)


@settings(max_examples=15)
@given(table=st.integers(1, 9), size=st.integers(1, 9), period=st.integers(1, 9))
def test_range_takes_the_first_rows_again_and_again(table, size, period):
    if min(size, period) > table:
        return
    values = np.random.RandomState(0).normal(size=(2, table, 3))
    wanted = values[:, np.arange(size) % period]

    def build(mesh):
        dim = mtf.Dimension("length", size)
        rows = (
            Range(dim)
            .modulo(period)
            .rows(
                constant(mesh, values, ["heads", "position", "rank"]),
                mtf.Dimension("position", table),
            )
        )
        assert rows.shape.dimension_names == ["heads", "length", "rank"]
        return {"rows": rows}

    np.testing.assert_array_equal(evaluated(build)["rows"], wanted)


@pytest.mark.parametrize("layout", ["", "batch:devices"])
def test_what_is_chosen_is_that_of_where(layout):
    draw = np.random.RandomState(0)
    condition, new, old = (
        draw.normal(size=5) > 0,
        draw.normal(size=(4, 3)),
        draw.normal(size=(4, 5, 3)),
    )

    def build(mesh):
        return {
            "chosen": chosen(
                constant(mesh, condition, ["memory"]),
                constant(mesh, new, ["batch", "kv"]),
                constant(mesh, old, ["batch", "memory", "kv"]),
            )
        }

    found = run(build, mesh_shape="devices:2" if layout else "", layout=layout)["chosen"]
    wanted = np.where(condition[:, None], new[:, None], old)
    np.testing.assert_array_equal(found, wanted)


@settings(max_examples=15)
@given(
    positions=st.lists(st.integers(0, 10), min_size=1, max_size=7),
    period=st.integers(1, 11),
)
def test_looked_up_rows_are_those_of_the_positions(positions, period):
    values = np.random.RandomState(0).normal(size=(2, 11, 3))

    def build(mesh):
        indices = Looked(constant(mesh, positions, ["length"]), 11).modulo(period)
        table = constant(mesh, values, ["heads", "position", "rank"])
        return {"rows": indices.rows(table, mtf.Dimension("position", 11))}

    wanted = np.moveaxis(values[:, np.mod(positions, period)], 1, 0)
    np.testing.assert_array_equal(evaluated(build)["rows"], wanted)


@settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), padding=st.integers(0, 3))
def test_positions_are_recovered_from_sequence_ids(sizes, padding):
    ids = np.repeat([*range(1, len(sizes) + 1), 0], [*sizes, padding])[None]
    wanted = np.concatenate([np.arange(n) for n in [*sizes, padding]])

    def build(mesh):
        tensor = constant(mesh, ids, ["batch", "length"])
        return {"positions": within_sequences(tensor, tensor.shape.dims[1])}

    np.testing.assert_array_equal(evaluated(build)["positions"][0], wanted)


def lookup(shared):
    """A table, a look-up with and without a shared dimension, and the gradient to the table."""
    draw = np.random.RandomState(0)
    table_shape = (4, 7, 2) if shared else (7, 2)
    indices = draw.randint(0, 7, size=(4, 6))
    cotangent = draw.normal(size=(4, 6, 2)).astype(np.float32)
    names = ["batch", "position", "rank"] if shared else ["position", "rank"]

    def build(mesh):
        shape = mtf.Shape([mtf.Dimension(n, s) for n, s in zip(names, table_shape, strict=True)])
        table = mtf.get_variable(
            mesh, "table", shape, initializer=tf.random_normal_initializer(), dtype=tf.float32
        )
        rows = take(
            table, constant(mesh, indices, ["batch", "length"]), mtf.Dimension("position", 7)
        )
        weight = constant(mesh, cotangent, ["batch", "length", "rank"])
        return {"rows": rows, "objective": mtf.reduce_sum(rows * weight)}

    return build, indices, cotangent


@pytest.mark.parametrize(
    ("mesh_shape", "layout"),
    [("", ""), ("all:2", "batch:all"), ("all:2", "length:all"), ("all:2", "rank:all")],
)
@pytest.mark.parametrize("shared", [False, True], ids=["one table", "a table for each example"])
def test_values_and_gradients_on_devices(shared, mesh_shape, layout):
    """A gradient that is not summed over the devices would be half the right one."""
    build, indices, cotangent = lookup(shared)
    result = run(build, gradients_of="objective", mesh_shape=mesh_shape, layout=layout)
    table = result["weight/table"]
    wanted = np.zeros_like(table)
    for b in range(4):
        for i in range(6):
            row = (b, indices[b, i]) if shared else indices[b, i]
            np.testing.assert_allclose(result["rows"][b, i], table[row], rtol=1e-6)
            wanted[row] += cotangent[b, i]
    np.testing.assert_allclose(result["grad/table"], wanted, rtol=1e-5, atol=1e-6)


def test_a_split_table_is_refused():
    build, _, _ = lookup(False)
    with pytest.raises(ValueError, match=r"splits .*position.*layout_rules"):
        run(build, mesh_shape="all:7", layout="position:all")


def test_a_missing_dimension_is_named():
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        table = constant(mesh, np.zeros((7, 3)), ["position", "rank"])
        with pytest.raises(ValueError, match="wrong"):
            take(table, constant(mesh, [0], ["length"]), mtf.Dimension("wrong", 7))
