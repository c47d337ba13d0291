"""T5's norm: NumPy's values, Mesh's gradients, on one device and several."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import constant, run

from mtf_synthesizer.mesh.norm import rms_norm

EPSILON = 0.3  # large, so that it counts


def mesh_norm(x, scale, epsilon):
    variance = mtf.reduce_mean(mtf.square(x), reduced_dim=scale.shape.dims[-1])
    return x * mtf.rsqrt(variance + epsilon) * scale


def normed(function, dtype=tf.float32, mesh_shape="", layout=""):
    def build(mesh):
        shape = [mtf.Dimension(*d) for d in [("batch", 2), ("length", 5), ("d_model", 6)]]
        start = tf.random_normal_initializer()
        x = mtf.get_variable(mesh, "x", mtf.Shape(shape), initializer=start)
        scale = mtf.get_variable(mesh, "scale", mtf.Shape(shape[2:]), initializer=start)
        y = function(mtf.cast(x, dtype), mtf.cast(scale, dtype), EPSILON)
        assert y.dtype == dtype
        y = mtf.cast(y, tf.float32)
        drawn = np.random.RandomState(0).normal(size=[2, 5, 6]).astype(np.float32)
        return {"y": y, "loss": mtf.reduce_sum(y * constant(mesh, drawn, shape))}

    return run(build, gradients_of="loss", mesh_shape=mesh_shape, layout=layout)


def test_values():
    found = normed(rms_norm)
    x, scale = found["weight/x"], found["weight/scale"]
    for row in np.ndindex(2, 5):
        root = np.sqrt(sum(v * v for v in x[row]) / 6 + EPSILON)
        np.testing.assert_allclose(found["y"][row], x[row] / root * scale, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("split", ["", "batch", "d_model"])
def test_equals_mesh(split):
    devices = {"mesh_shape": "all:2", "layout": f"{split}:all"} if split else {}
    ours, theirs = normed(rms_norm, **devices), normed(mesh_norm)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-5, atol=3e-6, err_msg=name)


def test_bfloat16():
    ours, exact = normed(rms_norm, tf.bfloat16), normed(rms_norm)
    for name, value in exact.items():
        assert np.linalg.norm(ours[name] - value) < 0.02 * np.linalg.norm(value), name
