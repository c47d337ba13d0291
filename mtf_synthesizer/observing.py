"""What can be watched while a model trains: loss, gradient, α, entropy of the attention.

Mesh's training function takes no hooks, prints the loss on every step, and on a processor only
collects its scalar summaries. `ObservedEstimator` stands between it and the Estimator.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import mtf_synthesizer.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer import attention, evaluation_graph, names, repeatable, saved_types, whole_files
from mtf_synthesizer.checkpoints import is_of_optimizer
from mtf_synthesizer.evaluation_graph import in_order

_ALPHA = "mixture/alpha"


class ObservedEstimator:
    """Trains like the Estimator that Mesh makes, with hooks, summaries and no prints.

    Args:
      estimator: Mesh's.
      seed: of initial values and dropout.
      summary_steps: steps between summaries.
      hook: makes a session hook, given the tensor of the loss.
      make_probe: makes the graph for the entropy of the attention; None for no summaries of it.
    """

    def __init__(
        self,
        estimator: Any,
        seed: int,
        summary_steps: int,
        hook: Callable[[tf.Tensor], tf.train.SessionRunHook],
        make_probe: Callable[[], "Probe"] | None,
    ):
        self._listeners = []
        if make_probe is not None:
            self._listeners.append(AttentionListener(estimator.model_dir, make_probe))

        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            with repeatable.random_by_step():
                spec = estimator.model_fn(features, labels, mode, config)
            repeatable.update_last(spec.train_op)
            check_same_model(estimator.model_dir)
            for name, value in tf.get_collection(mtf.utils.SCALAR_SUMMARIES_COLLECTION_KEY):
                # tf.summary.scalar would number the tag: Mesh has an operation of this name.
                summary = tf.raw_ops.ScalarSummary(tags=name, values=value)
                tf.add_to_collection(tf.GraphKeys.SUMMARIES, summary)
            loss = _without_print(spec.loss)
            # Before Mesh's, one of which saves: what is known of a step comes first.
            hooks = [hook(loss), *map(whole_files.hook, spec.training_chief_hooks)]
            return spec._replace(loss=loss, training_chief_hooks=hooks)

        self._estimator = tf_estimator.Estimator(
            model_fn,
            config=estimator.config.replace(
                tf_random_seed=seed,
                save_summary_steps=summary_steps,
                log_step_count_steps=summary_steps,
            ),
        )

    def train(self, input_fn: Any, max_steps: int, hooks: Any) -> None:
        """What Mesh's `train_model` calls."""
        self._estimator.train(
            input_fn, max_steps=max_steps, hooks=hooks, saving_listeners=self._listeners
        )

    def latest_checkpoint(self) -> str | None:
        """What Mesh's `train_model` calls, too; likewise `get_variable_value`."""
        found: str | None = self._estimator.latest_checkpoint()
        return found

    def get_variable_value(self, name: str) -> np.ndarray:
        return self._estimator.get_variable_value(name)


def check_same_model(model_dir: str) -> None:
    """Compares the variables of the current graph with those of the folder's checkpoint.

    Raises:
      names.UserError: the folder holds another model, which the Saver would report by a page of
        missing keys, or one that is saved in another type.
    """
    checkpoint = tf.train.latest_checkpoint(model_dir)
    if checkpoint is None:
        return
    saved = dict(tf.train.list_variables(checkpoint))
    built = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    # Another optimizer has other slots for the same model, and may be chosen later.
    compared = sorted(name for name in saved.keys() | built.keys() if not is_of_optimizer(name))
    for name in compared:
        if saved.get(name) != built.get(name):
            raise names.UserError(
                f"{model_dir} holds another model: the variable {name} is "
                f"{saved.get(name, 'absent')} in {checkpoint}, and {built.get(name, 'absent')} "
                "in this one. Choose another --model_dir, or the model that is there"
            )
    saved_types.check(checkpoint)


def _without_print(loss: tf.Tensor) -> tf.Tensor:
    """The tensor that Mesh wraps into tf.Print."""
    return loss.op.inputs[0] if loss.op.type == "Print" else loss


class AttentionListener(tf_estimator.CheckpointSaverListener):
    """Writes α and the entropy of each head's attention whenever a checkpoint is saved.

    The entropy comes from a graph and session of its own, so training steps stay as they are. The
    checkpoint from before the first step has to wait for the next one, not the first step for it.
    """

    def __init__(self, model_dir: str, make_probe: Callable[[], "Probe"]):
        self._model_dir = model_dir
        self._make_probe = make_probe
        self._probe: Probe | None = None
        self._waiting: list[int] = []
        self._has_trained = False

    def after_save(self, session: tf.Session, global_step_value: int) -> None:
        self._waiting.append(global_step_value)
        if self._has_trained:
            self._write()
        self._has_trained = True

    def end(self, session: tf.Session, global_step_value: int) -> None:
        self._write()
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _write(self) -> None:
        if self._waiting and self._probe is None:
            self._probe = self._make_probe()
        writer = tf.summary.FileWriterCache.get(self._model_dir)
        for step in self._waiting:
            checkpoint = os.path.join(self._model_dir, f"model.ckpt-{step}")
            if tf.train.checkpoint_exists(checkpoint):
                writer.add_summary(_attention_summary(checkpoint, self._probe), step)
        self._waiting.clear()


def _attention_summary(checkpoint: str, probe: "Probe | None") -> tf.Summary:
    summary = tf.Summary()
    for layer, alpha in alphas(checkpoint).items():
        for head, weights in enumerate(alpha):
            for term, value in enumerate(weights):
                tag = f"alpha/{layer}/head_{head}/term_{term}"
                summary.value.add(tag=tag, simple_value=float(value))
    for layer, entropies in probe.entropies(checkpoint).items() if probe else ():
        for head, value in enumerate(entropies):
            tag = f"attention_entropy/{layer}/head_{head}"
            summary.value.add(tag=tag, simple_value=float(value))
    return summary


def alphas(checkpoint: str) -> dict[str, np.ndarray]:
    """α of every `Mixture` in a checkpoint: layer scope -> [heads, terms], each row adding to 1."""
    reader = tf.train.load_checkpoint(checkpoint)
    found = {}
    for name in sorted(reader.get_variable_to_shape_map()):
        if name.endswith(_ALPHA):
            logits = reader.get_tensor(name).astype(np.float64)
            exponentials = np.exp(logits - logits.max(-1, keepdims=True))
            layer = name.removesuffix("/" + _ALPHA)
            alpha = exponentials / exponentials.sum(-1, keepdims=True)
            # No dimension for one head, two for heads that share keys and values in groups.
            found[layer] = alpha.reshape(-1, alpha.shape[-1])
    return found


class Probe:
    """An evaluation graph that gives the attention weights of a checkpoint on some examples.

    Needs the gin configuration of the model while it is made, not afterwards.

    Args:
      features: int32 [batch, length] for each of inputs and targets.
      model_type: as for Mesh's `run`.
      vocabulary: likewise.
    """

    def __init__(self, features: Mapping[str, np.ndarray], model_type: str, vocabulary: Any):
        self._graph = tf.Graph()
        with self._graph.as_default(), contextlib.ExitStack() as stack:
            recorded = stack.enter_context(attention.recording())
            mesh = mtf.Mesh(mtf.Graph(), "probe")
            model = evaluation_graph.build(model_type, vocabulary)
            tensors = evaluation_graph.call(model, mesh, features, model_type)
            recorded = [r for r in recorded if r.weights.usable]  # not with recompute_grads
            entropies = {r.layer: _entropy(r, tensors) for r in recorded}
            weights = {r.layer: mtf.anonymize(in_order(r.weights)) for r in recorded}
            implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
            lowering = mtf.Lowering(mesh.graph, {mesh: implementation})
            self._entropies = {k: lowering.export_to_tf_tensor(v) for k, v in entropies.items()}
            self._weights = {k: lowering.export_to_tf_tensor(v) for k, v in weights.items()}
            self._saver = tf.train.Saver()
            self._to_slices = lowering.copy_masters_to_slices()
        self._session = tf.Session(graph=self._graph)

    def entropies(self, checkpoint: str) -> dict[str, np.ndarray]:
        """Mean entropy of the attention in nats: layer scope -> [heads].

        Where all examples have one map (R, Fix, FR and their mixtures) it is that of the map:
        over all keys, without regard to padding. Elsewhere padding is left out.
        """
        return self._evaluated(self._entropies, checkpoint)

    def weights(self, checkpoint: str) -> dict[str, np.ndarray]:
        """Layer scope -> [(batch,) heads, length, memory_length]."""
        return self._evaluated(self._weights, checkpoint)

    def close(self) -> None:
        """Frees the memory of its session."""
        self._session.close()

    def _evaluated(self, tensors: dict[str, tf.Tensor], checkpoint: str) -> dict[str, np.ndarray]:
        self._saver.restore(self._session, checkpoint)
        self._session.run(self._to_slices)
        return self._session.run(tensors)


def _entropy(recorded: attention.Recorded, features: Mapping[str, mtf.Tensor]) -> mtf.Tensor:
    """-Σ w log w over keys, mean over examples and queries that are not padding: [heads]."""
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
