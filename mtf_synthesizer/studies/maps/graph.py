"""The graph of the attention weights of every layer, including T5's own layers.

Building the graph needs the gin configuration of the model; running the graph does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer import errors
from mtf_synthesizer.attention import layer
from mtf_synthesizer.attention.layer import Recorded
from mtf_synthesizer.studies.maps import layers
from mtf_synthesizer.upstream import graph, probe
from mtf_synthesizer.upstream.recording import recording


@dataclasses.dataclass(frozen=True)
class StackTokens:
    """Tokens at the positions of a stack.

    Attributes:
      feature: feature of the tokens: inputs or targets.
      ids: int [example, length], the tokens fed in; a decoder's tokens begin with 0.
      lengths: number of real tokens of each example.
    """

    feature: str
    ids: np.ndarray
    lengths: tuple[int, ...]


class AttentionGraph:
    """A model on some examples, and the attention weights of its layers.

    Args:
      features: int32 [batch, length] for each of inputs and targets.
      model_type: model type of Mesh's `run`.
      vocabulary: vocabulary of Mesh's `run`.

    Attributes:
      title: synthesizing functions of the model, in the paper's letters.
      layers: layers by the scope of their place, such as encoder/block_000/layer_000. A layer that
        is applied repeatedly has /step_000 and so on at the end.
      left_out: layers without weights -> why.
      positions: tokens at the positions of each stack.

    Raises:
      errors.UserError: no layer of the model has weights.
    """

    def __init__(self, features: Mapping[str, np.ndarray], model_type: str, vocabulary: Any):
        with tf.Graph().as_default():
            tf.set_random_seed(0)
            recorded = probe.record(features, model_type, vocabulary, recording)
            kept = layers.by_place(r for r in recorded.attention if r.weights.usable)
            objects = layers.objects_of(recorded.model)
            self.title = layers.title(objects)
            self.layers = layers.described(kept, objects)
            self.left_out = layers.left_out(objects, recorded.attention, kept)
            if not kept:
                missing = "; ".join(f"{place}: {why}" for place, why in self.left_out.items())
                raise errors.UserError(f"this model has no attention weights to show: {missing}")
            self._lowered = probe.Lowered(
                recorded.mesh,
                {place: graph.in_order(r.weights) for place, r in kept.items()},
                {place: r.present for place, r in kept.items() if r.present is not None},
                recorded.features,
            )
        self.positions = self._positions(recorded.model)

    def trained(self, checkpoint: str) -> dict[str, np.ndarray]:
        """The weights with the variables of a checkpoint.

        Returns:
          Place -> float32 [example, heads, length, memory_length]. Rows sum to 1 over the keys that
          their query sees; rows of padding are undefined.
        """
        return self._evaluated(checkpoint)

    def initial(self) -> dict[str, np.ndarray]:
        """The weights with newly drawn initial variables, in the form of `trained`."""
        return self._evaluated(None)

    def close(self) -> None:
        """Free the memory of the session."""
        self._lowered.close()

    def _evaluated(self, checkpoint: str | None) -> dict[str, np.ndarray]:
        self._lowered.restore(checkpoint)
        weights, present = self._lowered.run(self._lowered.tensors[:2])
        examples = len(next(iter(self.positions.values())).lengths)
        return {k: of_examples(w, present.get(k), examples) for k, w in weights.items()}

    def _positions(self, model: graph.Model) -> dict[str, StackTokens]:
        ids = self._lowered.run(self._lowered.tensors[2])
        by_stack = {}
        for stack in graph.stacks(model):
            feature = "targets" if stack.autoregressive else "inputs"
            tokens = ids[feature]
            lengths = tuple(int(n) for n in np.count_nonzero(tokens, axis=1))
            fed = np.pad(tokens, [(0, 0), (1, 0)])[:, :-1] if stack.autoregressive else tokens
            by_stack[stack.name] = StackTokens(feature, fed, lengths)
        return by_stack


def of_examples(weights: np.ndarray, present: np.ndarray | None, examples: int) -> np.ndarray:
    """The weights of each example, if all examples share the same logits.

    Args:
      weights: [(batch,) heads, length, memory_length].
      present: bool [batch, memory_length], keys that are real tokens, or None.
      examples: number of examples.
    """
    if weights.ndim == 4:
        return weights
    repeated = np.broadcast_to(weights, (examples, *weights.shape))
    if present is None:
        return np.array(repeated)
    kept = repeated * present[:, np.newaxis, np.newaxis, :]
    return kept / np.maximum(kept.sum(-1, keepdims=True), np.finfo(np.float32).tiny)
