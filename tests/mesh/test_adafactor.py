"""Adafactor in fewer passes: Mesh's own updates and slot variables over several steps."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh import adafactor

SHAPES = {"matrix": [7, 6], "heads": [2, 7, 6], "vector": [7]}


def trained(update, steps=3, mesh_shape="", layout="", dtype=tf.float32, **options):
    """All variables after some steps towards a target, by name."""
    with tf.Graph().as_default(), tf.Session() as session:
        mesh = mtf.Mesh(mtf.Graph(), "test")
        losses = []
        for number, (name, sizes) in enumerate(SHAPES.items()):
            draw = np.random.RandomState(number)
            dims = [mtf.Dimension(f"size_{size}", size) for size in sizes]
            start = tf.constant_initializer(draw.normal(size=sizes))
            variable = mtf.get_variable(mesh, name, mtf.Shape(dims), initializer=start)
            slope = tf.constant(3 * draw.normal(size=sizes), tf.float32)
            slope = mtf.import_tf_tensor(mesh, slope, mtf.Shape(dims))
            losses.append(mtf.reduce_sum(mtf.square(variable) * slope))
        variables = mesh.graph.trainable_variables
        grads = mtf.gradients([mtf.add_n(losses)], [v.outputs[0] for v in variables])
        rate = tf.constant(0.1)
        settings = {"learning_rate": rate, "min_dim_size_to_factor": 5, "decay_rate": 0.7}
        optimizer = mtf.optimize.AdafactorOptimizer(**(settings | options))
        operations = []
        for grad, variable in zip(grads, variables, strict=True):
            offered = adafactor.offers(optimizer, variable)
            apply = update if offered else mtf.optimize.AdafactorOptimizer.apply_grad
            operations += apply(optimizer, mtf.cast(grad, dtype), variable)
        shape = mtf.convert_to_shape(mesh_shape)
        devices = ["cpu:0"] * max(shape.size, 1)
        rules = mtf.convert_to_layout_rules(layout)
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl(shape, rules, devices)
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
        step = tf.group([lowering.lowered_operation(o) for o in operations])
        save = lowering.copy_slices_to_masters()
        session.run(tf.global_variables_initializer())
        session.run(lowering.copy_masters_to_slices())
        for _ in range(steps):
            session.run(step)
        session.run(save)
        masters = {v.op.name: v for v in tf.global_variables() if "_slice_" not in v.op.name}
        return session.run(masters)


def assert_same(ours, theirs, tolerance=1e-5):
    assert ours.keys() == theirs.keys()
    assert {"matrix_slot_vr", "matrix_slot_vc", "heads_slot_vr", "vector_slot_v"} <= ours.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=tolerance, atol=1e-6, err_msg=name)


stock = mtf.optimize.AdafactorOptimizer.apply_grad


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clipping_threshold": None},
        {"clipping_threshold": 0.2},
        {"multiply_by_parameter_scale": False},
        {"exclude_from_parameter_scale": ["heads"]},
        {"epsilon1": 0.5, "epsilon2": 3.0},
        {"learning_rate": None, "decay_rate": None},
    ],
    ids=lambda options: "-".join(options) or "plain",
)
def test_equals_mesh(options):
    assert_same(trained(adafactor.adafactor_update, **options), trained(stock, **options))


@pytest.mark.parametrize("split", ["size_7", "size_6", "size_2"])
def test_several_devices(split):
    devices = {"mesh_shape": f"all:{split[-1]}", "layout": f"{split}:all"}
    assert_same(trained(adafactor.adafactor_update, **devices), trained(stock))


def test_bfloat16_gradients():
    options = {"dtype": tf.bfloat16}
    assert_same(trained(adafactor.adafactor_update, **options), trained(stock, **options))


@pytest.mark.parametrize(
    "options", [{"beta1": 0.9}, {"stacked_dim_names": ["size_2"]}, {"factored": False}]
)
def test_the_rest_is_left_to_mesh(options):
    def fail(*unused):
        raise AssertionError

    trained(fail, steps=1, **options)
