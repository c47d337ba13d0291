"""The gradient of ReLU: Mesh's own, to the last bit."""

import mesh_tensorflow as mtf
import numpy as np
from harness import constant, run

from mtf_synthesizer.upstream import relu


def test_gradient():
    relu.install()
    x = np.array([[-2.0, 0.0, 3.0], [5.0, -0.0, 1e-30]], np.float32)
    grad = np.array([[7.0, 11.0, -13.0], [17.0, 19.0, 23.0]], np.float32)

    def build(mesh):
        dims = [mtf.Dimension("rows", 2), mtf.Dimension("columns", 3)]
        y = mtf.relu(mtf.get_variable(mesh, "x", mtf.Shape(dims)))
        return {"y": y, "loss": mtf.reduce_sum(y * constant(mesh, grad, dims))}

    found = run(build, {"x": x}, gradients_of="loss")
    np.testing.assert_array_equal(found["y"], np.maximum(x, 0))
    np.testing.assert_array_equal(found["grad/x"], [[0, 0, -13], [17, 0, 23]])
