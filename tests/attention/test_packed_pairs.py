"""Tables over pairs of positions looked up for packed rows, against NumPy indexing."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import constant, run

from mtf_synthesizer.attention import packed_pairs
from mtf_synthesizer.attention.positions import within_sequences

# One row in order, one with sequences in turns, one that a single sequence fills, one of padding.
IDS = np.array(
    [[1, 1, 1, 2, 2, 0], [1, 2, 1, 2, 3, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], np.int32
)
SIZE = IDS.shape[1]
HEADS = (2, 3)
SAME = IDS[:, :, None] == IDS[:, None, :]
POSITIONS = np.array([[np.sum(row[:i] == row[i]) for i in range(SIZE)] for row in IDS])
COTANGENT = np.random.RandomState(1).normal(size=(*HEADS, *SAME.shape)) * SAME
COTANGENT = COTANGENT.astype(np.float32)
LAYOUTS = ["", "batch:all", "heads:all", "length:all", "memory_length:all"]


def look_up(heads):
    names = ["heads", "query_heads"][: len(heads)]
    cotangent = (COTANGENT[0, 0], COTANGENT[:, 0], COTANGENT)[len(heads)]

    def build(mesh):
        ids = constant(mesh, IDS, ["batch", "length"])
        length, memory = ids.shape.dims[1], mtf.Dimension("memory_length", SIZE)
        queries = packed_pairs.Tokens(length, ids, within_sequences(ids, length))
        keys = (mtf.replace_dimensions(x, length, memory) for x in queries[1:])
        found = packed_pairs.of_sequences(queries, packed_pairs.Tokens(memory, *keys))
        dims = [mtf.Dimension(name, n) for name, n in zip(names, heads, strict=True)]
        dims += [mtf.Dimension("query_position", SIZE), mtf.Dimension("key_position", SIZE)]
        table = mtf.get_variable(mesh, "table", mtf.Shape(dims), dtype=tf.float32)
        taken = packed_pairs.take_pairs(table, found)
        weight = constant(mesh, cotangent, [*names, "batch", "length", "memory_length"])
        return {"taken": taken, "objective": mtf.reduce_sum(taken * weight)}

    return build, cotangent


@pytest.mark.parametrize(
    "layout", ["", "batch:all", "heads:all", "length:all", "memory_length:all"]
)
@pytest.mark.parametrize("heads", [(), (2,), (2, 3)], ids=["one head", "heads", "grouped heads"])
def test_values_and_gradients(heads, layout):
    """Where the mesh splits a dimension, each device has a part of the look-ups."""
    build, cotangent = look_up(heads)
    shape = "all:2" if layout else ""
    result = run(build, gradients_of="objective", mesh_shape=shape, layout=layout)
    table = result["weight/table"]
    wanted = np.zeros_like(table)
    for b, i, j in zip(*np.nonzero(SAME), strict=True):
        entry = (..., POSITIONS[b, i], POSITIONS[b, j])
        np.testing.assert_array_equal(result["taken"][..., b, i, j], table[entry])
        wanted[entry] += cotangent[..., b, i, j]
    np.testing.assert_allclose(result["grad/table"], wanted, rtol=1e-5, atol=1e-6)


def test_a_split_table_is_refused():
    build, _ = look_up((2,))
    with pytest.raises(ValueError, match=r"splits .*key_position.*layout_rules"):
        run(build, mesh_shape="all:2", layout="key_position:all")
