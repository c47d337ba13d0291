"""Attention weights of a model, recorded while its graph is built."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer.attention.layer import Recorded, recording
from mtf_synthesizer.config.request import Request, for_model, named_task
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import graph, session
from mtf_synthesizer.upstream.examples import example_sets
from mtf_synthesizer.upstream.graph import in_order

Recording = Callable[[], contextlib.AbstractContextManager[list[Recorded]]]


def record_attention(
    model_dir: str | os.PathLike[str] | ModelFolder,
    request: Request,
    *,
    split: str = "validation",
    checkpoint: str | int = "latest",
    examples: int = 4,
    verbose: bool = False,
) -> dict[str, np.ndarray]:
    """Return attention weights of every `SyntheticAttention` layer on the first examples.

    Returns:
      Layer scope -> float32 [batch, heads, length, memory_length]; without batch if all examples
      share the weights.

    Raises:
      errors.UserError: an unknown name, split or checkpoint.
    """
    folder = ModelFolder.at(model_dir)
    chosen = folder.choose(checkpoint)[-1]
    with session.configured(for_model(folder, request), verbose):
        trained = session.build(folder.path)
        example_set = example_sets(named_task(folder, request), split, trained, examples)[0]
        probe = Probe(
            example_set.arrays(), model_type=trained.model_type, vocabulary=trained.vocabulary
        )
        weights = probe.weights(chosen.path)
        probe.close()
    return weights


@dataclasses.dataclass(frozen=True)
class RecordedModel:
    """A model called on some examples in the current graph, and the attention of its layers.

    Attributes:
      model: model from `graph.build`.
      mesh: mesh of its tensors.
      features: features of the model.
      attention: attention of the layers, in the order of the calls.
    """

    model: graph.Model
    mesh: mtf.Mesh
    features: Mapping[str, mtf.Tensor]
    attention: Sequence[Recorded]


def record(
    features: graph.Features, model_type: str, vocabulary: Any, recording: Recording
) -> RecordedModel:
    """Build the configured model in the current graph while its attention is recorded.

    Args:
      features: int32 [batch, length] for each of inputs and targets, arrays or placeholders.
      model_type: as for Mesh's `run`.
      vocabulary: likewise.
      recording: `recording` of `attention.layer`; of `upstream.recording` for T5's layers too.
    """
    with recording() as attention:
        mesh = mtf.Mesh(mtf.Graph(), "attention")
        model = graph.build(model_type, graph.words(vocabulary))
        tensors = graph.call(model, mesh, features, model_type)
    return RecordedModel(model, mesh, tensors, attention)


class Lowered:
    """Mesh tensors of the current graph, evaluated with the variables of any checkpoint.

    Args:
      mesh: mesh of the tensors.
      tensors: tensors to evaluate.
    """

    def __init__(self, mesh: mtf.Mesh, *tensors: Mapping[str, mtf.Tensor]):
        replicated = [{name: mtf.anonymize(t) for name, t in group.items()} for group in tensors]
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
        self.tensors = [
            {name: lowering.export_to_tf_tensor(t) for name, t in group.items()}
            for group in replicated
        ]
        self._saver = tf.train.Saver()
        self._initial_values = tf.global_variables_initializer()
        self._to_slices = lowering.copy_masters_to_slices()
        self._session = tf.Session(graph=tf.get_default_graph())

    def restore(self, checkpoint: str | None) -> None:
        """Give the variables the values of a checkpoint; without one new initial values."""
        if checkpoint is None:
            self._session.run(self._initial_values)
        else:
            self._saver.restore(self._session, checkpoint)
        self._session.run(self._to_slices)

    def run(self, tensors: Any, placeholders: Mapping[tf.Tensor, np.ndarray] | None = None) -> Any:
        """The values of some of `self.tensors`."""
        return self._session.run(tensors, placeholders)

    def close(self) -> None:
        """Frees the memory of the session."""
        self._session.close()


class Probe:
    """An evaluation graph that computes a checkpoint's attention weights on some examples.

    The constructor needs the gin configuration of the model; the methods do not.

    Args:
      features: int32 [batch, length] for each of inputs and targets.
      model_type: as for Mesh's `run`.
      vocabulary: as for Mesh's `run`.
    """

    def __init__(self, features: Mapping[str, np.ndarray], model_type: str, vocabulary: Any):
        with tf.Graph().as_default():
            recorded = record(features, model_type, vocabulary, recording)
            usable = [r for r in recorded.attention if r.weights.usable]  # not with recompute_grads
            self._lowered = Lowered(
                recorded.mesh,
                {r.layer: entropy(r, recorded.features) for r in usable},
                {r.layer: in_order(r.weights) for r in usable},
            )
        self._entropies, self._weights = self._lowered.tensors

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
        """Frees the memory of its session."""
        self._lowered.close()

    def _evaluated(self, tensors: dict[str, tf.Tensor], checkpoint: str) -> dict[str, np.ndarray]:
        self._lowered.restore(checkpoint)
        values: dict[str, np.ndarray] = self._lowered.run(tensors)
        return values


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
