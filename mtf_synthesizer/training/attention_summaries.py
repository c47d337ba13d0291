"""Summaries of attention for TensorBoard: entropy of each head, α of each layer."""

import os
from collections.abc import Callable

import numpy as np
import scipy.special
import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer.upstream.probe import Probe

_ALPHA = "mixture/alpha"


class AttentionListener(tf_estimator.CheckpointSaverListener):
    """A listener that writes α and the entropy of each head whenever a checkpoint is saved.

    A separate graph and session computes the entropy, so the graph of the training stays as it is.
    The summaries of the checkpoint before the first step are written with those of the next one,
    so that they do not delay the first step.
    """

    def __init__(self, model_dir: str, make_probe: Callable[[], Probe]):
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


def _attention_summary(checkpoint: str, probe: Probe | None) -> tf.Summary:
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
    """Return α of every `Mixture` in a checkpoint: layer scope -> [heads, terms]; rows sum to 1."""
    reader = tf.train.load_checkpoint(checkpoint)
    alphas_of_layers = {}
    for name in sorted(reader.get_variable_to_shape_map()):
        if name.endswith(_ALPHA):
            logits = reader.get_tensor(name).astype(np.float64)
            layer = name.removesuffix("/" + _ALPHA)
            alpha = scipy.special.softmax(logits, axis=-1)
            # One head has no dimension; heads in groups that share keys and values have two.
            alphas_of_layers[layer] = alpha.reshape(-1, alpha.shape[-1])
    return alphas_of_layers
