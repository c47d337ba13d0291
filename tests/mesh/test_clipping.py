"""ClippedOptimizer: the gradient's norm over all variables, reported and limited."""

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh.clipping import ClippedOptimizer

# Gradients of the loss below: 3 for each of 4 numbers, 4 for one: |g| = sqrt(4·9 + 16).
GRADIENTS = {"a": np.full(4, 3.0), "b": np.full(1, 4.0)}
NORM = np.sqrt(52)


def updates(max_norm, mesh_shape="", layout=""):
    """What one step of plain descent with rate 1 takes from each variable, and the norm."""
    with tf.Graph().as_default(), tf.Session() as session:
        mesh = mtf.Mesh(mtf.Graph(), "test")
        loss = 0
        for name, gradient in GRADIENTS.items():
            shape = mtf.Shape([mtf.Dimension(f"size_{name}", len(gradient))])
            loss += mtf.reduce_sum(mtf.get_variable(mesh, name, shape)) * gradient[0]
        mtf.get_variable(mesh, "unused", mtf.Shape([]))
        variables = mesh.graph.trainable_variables
        grads = mtf.gradients([loss], [v.outputs[0] for v in variables])
        optimizer = ClippedOptimizer(
            learning_rate=1.0, optimizer=mtf.optimize.SgdOptimizer, max_norm=max_norm
        )
        operations = optimizer.apply_grads(grads, variables)
        shape = mtf.convert_to_shape(mesh_shape)
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl(
            shape, mtf.convert_to_layout_rules(layout), ["cpu:0"] * max(shape.size, 1)
        )
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
        step = tf.group([lowering.lowered_operation(o) for o in operations])
        ((name, norm),) = tf.get_collection(mtf.utils.SCALAR_SUMMARIES_COLLECTION_KEY)
        assert name == "gradient_norm"
        save = lowering.copy_slices_to_masters()
        masters = {v.op.name: v for v in tf.global_variables()}
        session.run(tf.global_variables_initializer())
        session.run(lowering.copy_masters_to_slices())
        before, norm = session.run([masters, norm])
        session.run(step)
        session.run(save)
        after = session.run(masters)
    assert after["unused"] == before["unused"]
    return {name: before[name] - after[name] for name in GRADIENTS}, norm


@pytest.mark.parametrize(("mesh_shape", "layout"), [("", ""), ("all:2", "size_a:all")])
def test_limits_the_norm_over_all_variables(mesh_shape, layout):
    taken, norm = updates(1.0, mesh_shape, layout)
    assert norm == pytest.approx(NORM)
    for name, gradient in GRADIENTS.items():
        np.testing.assert_allclose(taken[name], gradient / NORM, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("max_norm", [None, 8.0])
def test_leaves_smaller_gradients_alone(max_norm):
    taken, norm = updates(max_norm)
    assert norm == pytest.approx(NORM)
    for name, gradient in GRADIENTS.items():
        np.testing.assert_allclose(taken[name], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("max_norm", [0, -1.0])
def test_a_limit_must_be_positive(max_norm):
    with pytest.raises(ValueError, match=r"ClippedOptimizer\.max_norm = .*must be positive"):
        ClippedOptimizer(max_norm=max_norm)
