"""Estimators that compute any tensors of a trained model for batches of rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer.upstream import graph, repeatable, variables
from mtf_synthesizer.upstream.model import Model

Tensors = dict[str, mtf.Tensor]
Compute = Callable[[graph.Model, Tensors], Tensors]
InputFn = Callable[[Mapping[str, Any]], tf.data.Dataset]


def computed(
    trained: Model, compute: Compute, rows: InputFn, checkpoint: str, seed: int | None = None
) -> Generator[dict[str, np.ndarray]]:
    """Yield what a model computes for each row.

    The caller holds the model's gin configuration until the last row.

    Args:
      trained: the model.
      compute: a function from the model and features, int32 [batch, length], to tensors
        [batch, ...], by name.
      rows: an Estimator input function over whole batches.
      checkpoint: path of the checkpoint.
      seed: seed of the samples; None for the seed of Estimators, so that every call draws the same.

    Raises:
      errors.UserError: the checkpoint is of another model.
    """
    config = trained.estimator.config
    if seed is not None:
        config = config.replace(tf_random_seed=seed)

    def model_fn(features: dict[str, tf.Tensor], labels: Any, mode: str, config: Any) -> Any:
        del labels, config
        return _specification(trained, compute, features, mode, checkpoint)

    estimator = tf_estimator.Estimator(model_fn, config=config)
    results: Generator[dict[str, np.ndarray]] = estimator.predict(
        lambda: rows({}), checkpoint_path=checkpoint
    )
    return results


def _specification(
    trained: Model, compute: Compute, features: dict[str, tf.Tensor], mode: str, checkpoint: str
) -> tf_estimator.EstimatorSpec:
    """Build the graph as Mesh does for predictions: its mesh, and a copy of the variables."""
    shape = mtf.convert_to_shape(graph.bound("run.mesh_shape", ""))
    layout = mtf.convert_to_layout_rules(graph.bound("run.layout_rules", ""))
    devices = graph.bound("run.mesh_devices", None) or [""] * shape.size
    model = graph.build(trained.model_type, graph.words(trained.vocabulary), layout, shape)
    mesh = mtf.Mesh(mtf.Graph(), "my_mesh")
    tensors = {name: _imported(mesh, name, tensor) for name, tensor in features.items()}
    results = {name: mtf.anonymize(tensor) for name, tensor in compute(model, tensors).items()}
    implementation = mtf.placement_mesh_impl.PlacementMeshImpl(shape, layout, devices)
    with repeatable.random_by_seed():
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation}, autostack=True)
    variables.check_variables(checkpoint)
    return tf_estimator.EstimatorSpec(
        mode=mode,
        predictions={name: lowering.export_to_tf_tensor(t) for name, t in results.items()},
        scaffold=tf.train.Scaffold(
            local_init_op=tf.group(
                tf.train.Scaffold.default_local_init_op(), lowering.copy_masters_to_slices()
            ),
            ready_op=tf.report_uninitialized_variables(),
        ),
        prediction_hooks=[mtf.MtfRestoreHook(lowering)],
    )


def _imported(mesh: mtf.Mesh, name: str, tensor: tf.Tensor) -> mtf.Tensor:
    batch, length = tensor.shape.as_list()
    dims = [mtf.Dimension("batch", batch), mtf.Dimension("length", length)]
    return mtf.import_fully_replicated(mesh, tensor, mtf.Shape(dims), name=name)
