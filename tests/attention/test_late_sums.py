"""Gradients that wait for their sum over devices: added up once. That they are right on several
devices is what test_devices.py is about."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import D_KV, D_MODEL, constant, layer_context, run, unpacked_ids

from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct, Mixture, Random, Sum
from mtf_synthesizer.mesh import late_sums
from mtf_synthesizer.studies.cost.device import liveness
from mtf_synthesizer.studies.cost.device.one_device import OneDevice

HEADS, LENGTH = 3, 7
TOKENS = np.array([[3, 5, 2, 0, 0, 0, 0], [1] * LENGTH])


FUNCTIONS = {
    "r": lambda: Random(LENGTH),
    "r_plus_v": lambda: Sum([Random(LENGTH), DotProduct()]),
    "rv": lambda: Mixture([Random(LENGTH), DotProduct()]),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_table_is_added_up_once(name, causal):
    """For all that comes of it; of R alone the sum of the numerator and that of the norm."""
    layer = SyntheticAttention(FUNCTIONS[name](), HEADS, key_value_size=D_KV)
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        context = layer_context(
            mesh, 2, LENGTH, causal, "eval", unpacked_ids(mesh, TOKENS), tf.bfloat16
        )
        x = constant(mesh, np.ones([2, LENGTH, D_MODEL]), ["batch", "length", "d_model"])
        y = mtf.reduce_sum(mtf.cast(layer.call(context, mtf.cast(x, tf.bfloat16)), tf.float32))
        gradients = mtf.gradients([y], [v.outputs[0] for v in mesh.graph.trainable_variables])
        device = OneDevice(mtf.convert_to_shape("all:2"), mtf.convert_to_layout_rules("batch:all"))
        lowering = mtf.Lowering(mesh.graph, {mesh: device})
        laid_out = [lowering.tensors[each].to_laid_out_tensor() for each in gradients]
        needed = set(liveness.needed(each.tensor_list[0].op for each in laid_out))
    sums = [tensor for tensor, _ in device.collectives if tensor.op in needed]
    of_tables = [each for each in sums if each.shape.as_list() == [HEADS, LENGTH, LENGTH]]
    assert [each.dtype for each in of_tables] == [tf.bfloat16]


@pytest.mark.parametrize("layout", ["batch:all", "place:all", ""])
def test_values_and_gradients(layout):
    """A table that is read by every row, times a factor, with the batch split or the table."""
    draw = np.random.RandomState(0)
    table, factor, weight = draw.normal(size=[4]), draw.normal(size=[4]), draw.normal(size=[2, 4])

    def build(mesh):
        place = mtf.Dimension("place", 4)
        variable = mtf.get_variable(mesh, "table", mtf.Shape([place]), dtype=tf.float32)
        rows = constant(mesh, weight.astype("f"), ["batch", "place"])
        scaled = late_sums.times(variable, constant(mesh, factor.astype("f"), ["place"]))
        waiting = mtf.einsum([scaled, rows], rows.shape)
        twice = mtf.cast(late_sums.cast(variable, tf.float64), tf.float32)
        return {"y": mtf.reduce_sum(waiting) + mtf.reduce_sum(twice * twice)}

    result = run(build, {"table": table}, "all:2" if layout else "", layout, gradients_of="y")
    np.testing.assert_allclose(
        result["y"], (table * factor * weight).sum() + (table**2).sum(), 1e-5
    )
    wanted = factor * weight.sum(0) + 2 * table
    np.testing.assert_allclose(result["grad/table"], wanted, rtol=1e-5)
