"""What a model in a folder computes, in evaluation, by its own graph and session."""

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer.config import request
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream.session import configured


def values(folder):
    """Name -> value of every variable of the latest checkpoint."""
    latest = ModelFolder.at(folder).latest
    reader = tf.train.load_checkpoint(latest.path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def compute(folder, inputs, targets, gin_params=(), modules=("runner_tasks",), gradients_of=()):
    """Logits [batch, length, words] of an encoder-decoder.

    Args:
      folder: of the model.
      inputs, targets: int [batch, length], 0 for padding.
      gin_params: changes to its configuration.
      modules: with its task.
      gradients_of: endings of variables to which the gradient of the logits' squares is wanted.

    Returns:
      The logits, and name -> gradient.
    """
    model_folder = ModelFolder.at(folder)
    latest = model_folder.latest
    asked = request.Request(gin_params=gin_params, modules=modules)
    wanted = request.for_model(model_folder, asked)
    with configured(wanted, verbose=False), tf.Graph().as_default(), tf.Session() as session:
        mesh = mtf.Mesh(mtf.Graph(), "test")
        logits = _logits(mesh, latest.path, {"inputs": inputs, "targets": targets})
        chosen = [v for v in mesh.graph.trainable_variables if v.name.endswith(gradients_of)]
        chosen = chosen if gradients_of else []
        loss = mtf.reduce_sum(mtf.square(logits))
        grads = mtf.gradients([loss], [v.outputs[0] for v in chosen]) if chosen else []
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
        fetched = {
            v.name: lowering.export_to_tf_tensor(g) for v, g in zip(chosen, grads, strict=True)
        }
        y = lowering.export_to_tf_tensor(logits)
        tf.train.Saver().restore(session, latest.path)
        session.run(lowering.copy_masters_to_slices())
        return session.run([y, fetched])


def _logits(mesh, checkpoint, features):
    shapes = dict(tf.train.list_variables(checkpoint))
    (words,) = {shape[0] for name, shape in shapes.items() if name.endswith("/embedding")}
    model = utils.build_model("bitransformer", words, words, "", "")
    tensors = [
        mtf.import_tf_tensor(
            mesh,
            tf.constant(np.asarray(features[name], np.int32)),
            mtf.Shape(
                [
                    mtf.Dimension("batch", len(features[name])),
                    mtf.Dimension("length", len(features[name][0])),
                ]
            ),
        )
        for name in ("inputs", "targets")
    ]
    logits, _ = model.call_simple(
        inputs=tensors[0],
        targets=tensors[1],
        compute_loss=False,
        mode=tf.estimator.ModeKeys.EVAL,
        variable_dtype=utils.get_variable_dtype(),
    )
    return mtf.cast(logits, tf.float32)


def log_likelihoods(logits, targets):
    """The sum over the tokens of each row that are not padding."""
    targets = np.asarray(targets)
    logits = logits.astype(np.float64)
    norms = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
    rows, places = np.indices(targets.shape)
    return ((logits[rows, places, targets] - norms) * (targets != 0)).sum(-1)
