"""Attention weights of a model, recorded while its graph is built."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer.attention.layer import Recorded, recording
from mtf_synthesizer.config import request
from mtf_synthesizer.config.request import TASK_MODULES
from mtf_synthesizer.model_folder.checkpoints import chosen_checkpoints
from mtf_synthesizer.upstream import graph, session
from mtf_synthesizer.upstream.examples import example_sets
from mtf_synthesizer.upstream.graph import in_order


def record_attention(
    model_dir: str | os.PathLike[str],
    task: str,
    *,
    split: str = "validation",
    checkpoint: str | int = "latest",
    examples: int = 4,
    modules: Sequence[str] = TASK_MODULES,
    vocabulary: str | None = None,
    tfds_data_dir: str | None = None,
    verbose: bool = False,
) -> dict[str, np.ndarray]:
    """Return attention weights of every `SyntheticAttention` layer on the first examples.

    Returns:
      Layer scope -> float32 [batch, heads, length, memory_length]; without batch if all examples
      share the weights.

    Raises:
      errors.UserError: an unknown name, split or checkpoint.
    """
    configuration = request.for_model(model_dir, (), (), modules, vocabulary, tfds_data_dir)
    chosen = chosen_checkpoints(model_dir, checkpoint)[-1]
    with session.configured(configuration, verbose):
        trained = session.build(model_dir)
        sample = example_sets(task, split, trained, examples)[0]
        probe = Probe(sample.arrays(), model_type=trained.model_type, vocabulary=trained.vocabulary)
        weights = probe.weights(chosen.path)
        probe.close()
    return weights


class Probe:
    """An evaluation graph that computes a checkpoint's attention weights on some examples.

    The constructor needs the gin configuration of the model; the methods do not.

    Args:
      features: int32 [batch, length] for each of inputs and targets.
      model_type: as for Mesh's `run`.
      vocabulary: as for Mesh's `run`.
    """

    def __init__(self, features: Mapping[str, np.ndarray], model_type: str, vocabulary: Any):
        self._graph = tf.Graph()
        with self._graph.as_default(), contextlib.ExitStack() as stack:
            recorded = stack.enter_context(recording())
            mesh = mtf.Mesh(mtf.Graph(), "probe")
            model = graph.build(model_type, vocabulary)
            tensors = graph.call(model, mesh, features, model_type)
            recorded = [
                record for record in recorded if record.weights.usable
            ]  # not with recompute_grads
            entropies = {record.layer: entropy(record, tensors) for record in recorded}
            weights = {record.layer: mtf.anonymize(in_order(record.weights)) for record in recorded}
            implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
            lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
            self._entropies = {k: lowering.export_to_tf_tensor(v) for k, v in entropies.items()}
            self._weights = {k: lowering.export_to_tf_tensor(v) for k, v in weights.items()}
            self._saver = tf.train.Saver()
            self._to_slices = lowering.copy_masters_to_slices()
        self._session = tf.Session(graph=self._graph)

    def entropies(self, checkpoint: str) -> dict[str, np.ndarray]:
        """Return the mean entropy of the attention in nats: layer scope -> [heads].

        If all examples share one map (R, Fix, FR and their mixtures), it is the entropy of the map
        over all keys, padding included. Otherwise padding is left out.
        """
        return self._evaluated(self._entropies, checkpoint)

    def weights(self, checkpoint: str) -> dict[str, np.ndarray]:
        """Return layer scope -> [(batch,) heads, length, memory_length]."""
        return self._evaluated(self._weights, checkpoint)

    def close(self) -> None:
        """Close the session and free its memory."""
        self._session.close()

    def _evaluated(self, tensors: dict[str, tf.Tensor], checkpoint: str) -> dict[str, np.ndarray]:
        self._saver.restore(self._session, checkpoint)
        self._session.run(self._to_slices)
        return self._session.run(tensors)


def entropy(recorded: Recorded, features: Mapping[str, mtf.Tensor]) -> mtf.Tensor:
    """Return -Σ w log w over keys, mean over examples and queries that are not padding: [heads]."""
    weights = in_order(recorded.weights)
    *others, _, memory_length = weights.shape.dims
    heads = mtf.Shape([dim for dim in others if dim.name == "heads"])
    logs = mtf.log(mtf.maximum(weights, 1e-30))
    entropy = -mtf.reduce_sum(weights * logs, reduced_dim=memory_length)
    if len(others) == 1:
        return mtf.reduce_mean(entropy, output_shape=heads)
    queries = features["inputs" if recorded.layer.startswith("encoder") else "targets"]
    counted = mtf.cast(mtf.not_equal(queries, 0), tf.float32)
    counted = mtf.reshape(
        counted, mtf.Shape([dim for dim in entropy.shape.dims if dim not in heads.dims])
    )
    return mtf.reduce_sum(entropy * counted, output_shape=heads) / mtf.reduce_sum(counted)
