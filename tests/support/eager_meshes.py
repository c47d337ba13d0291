"""Meshes whose operations run while they are lowered: no TensorFlow graph is built.

A graph of a small model takes about five times as long to build as its operations take to run.
What users run are graphs; the tests of whole trainings build those.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Mesh operations that are lowered inside run at once; variables are new for each `eager`."""
    generic = mtf.ops.GenericGradOperation
    with (
        tf.Graph().as_default(),
        context.eager_mode(),
        mock.patch.object(generic, "lower", _lower_generic_gradient),
    ):
        yield


def _lower_generic_gradient(self: mtf.ops.GenericGradOperation, lowering: mtf.Lowering) -> None:
    """Mesh's takes `tf.gradients` of the graph; this lowers the forward operation again."""
    forward = self._forward_op

    def slices(tensors):
        return list(zip(*(lowering.tensors[t].tensor_list for t in tensors), strict=True))

    all_xs, all_grad_ys = slices(forward.inputs), slices(self._grad_ys)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x for xs in all_xs for x in xs if x.dtype.is_floating])
        forward.lower(lowering)
    all_grad_xs = [
        tape.gradient(ys, xs, grad_ys, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for ys, xs, grad_ys in zip(slices(forward.outputs), all_xs, all_grad_ys, strict=True)
    ]
    laid_out = lowering.mesh_impl(self).LaidOutTensor
    for out, grad_x in zip(self.outputs, zip(*all_grad_xs, strict=True), strict=True):
        tensors = [tf.convert_to_tensor(g) for g in grad_x]
        lowering.set_tensor_lowering(out, laid_out.from_tensor_list(tensors))
