"""The inputs of an exported model that reads token ids, and a vocabulary that leaves ids alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils
from tensorflow.compat.v1 import estimator as tf_estimator


@dataclasses.dataclass(frozen=True)
class Ids:
    """The part of a vocabulary that Mesh needs to build a model; without `decode_tf` ids stay ids.

    Attributes:
      vocab_size: number of ids.
    """

    vocab_size: int

    @classmethod
    def of(cls, vocabulary: Any) -> tuple[Ids, Ids]:
        """The vocabularies of inputs and targets."""
        inputs, targets = utils.inputs_vocabulary(vocabulary), utils.targets_vocabulary(vocabulary)
        return cls(inputs.vocab_size), cls(targets.vocab_size)


def reader(
    features: Sequence[str], sequence_length: Mapping[str, int], batch_size: int
) -> Callable[[], Any]:
    """Return the function that makes the inputs of a SavedModel.

    Args:
      features: int32 [rows, tokens] each, 0 after the end; a row ends as the model's rows do in
        training, with EOS (1) but for the beginning of a text that a language model continues.
      sequence_length: the most tokens of each.
      batch_size: the most rows, to which fewer are padded.
    """

    def serving_input() -> Any:
        given = {name: tf.placeholder(tf.int32, [None, None], name) for name in features}
        rows = tf.shape(given[features[0]])[0]
        padded = {
            name: _padded(ids, rows, [batch_size, sequence_length[name]], name)
            for name, ids in given.items()
        }
        return tf_estimator.export.ServingInputReceiver(
            features={**padded, "predict_batch_size": rows}, receiver_tensors=given
        )

    return serving_input


def _padded(ids: tf.Tensor, rows: tf.Tensor, shape: list[int], name: str) -> tf.Tensor:
    """The ids with zeros up to `shape`; a server's call fails where they do not fit."""
    fits = [
        tf.debugging.assert_equal(
            tf.shape(ids)[0], rows, message=f"{name}: another number of rows than the inputs"
        ),
        tf.debugging.assert_less_equal(
            tf.shape(ids), shape, message=f"{name}: more rows or tokens than {shape}"
        ),
    ]
    with tf.control_dependencies(fits):
        whole = tf.pad(ids, [[0, shape[0] - tf.shape(ids)[0]], [0, shape[1] - tf.shape(ids)[1]]])
    return tf.reshape(whole, shape)
