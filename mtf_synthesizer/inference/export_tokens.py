"""Inputs of an exported model that reads token ids, and a vocabulary that keeps ids as they are."""

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
    """The part of a vocabulary that Mesh needs to build a model.

    Mesh does not decode ids if the vocabulary has no `decode_tf`.

    Attributes:
      vocab_size: number of ids.
    """

    vocab_size: int

    @classmethod
    def of(cls, vocabulary: Any) -> tuple[Ids, Ids]:
        """Return the vocabularies of inputs and targets."""
        inputs, targets = utils.inputs_vocabulary(vocabulary), utils.targets_vocabulary(vocabulary)
        return cls(inputs.vocab_size), cls(targets.vocab_size)


def reader(
    features: Sequence[str], sequence_length: Mapping[str, int], batch_size: int
) -> Callable[[], Any]:
    """Return the function that builds the inputs of a SavedModel.

    Args:
      features: names of the inputs. Each is int32 [rows, tokens], padded with 0. A row ends as in
        training: with EOS (1), except a text that a language model continues.
      sequence_length: feature -> largest number of tokens.
      batch_size: largest number of rows; fewer rows are padded to it.
    """

    def serving_input() -> Any:
        received = {name: tf.placeholder(tf.int32, [None, None], name) for name in features}
        rows = tf.shape(received[features[0]])[0]
        padded = {
            name: _pad(ids, rows, [batch_size, sequence_length[name]], name)
            for name, ids in received.items()
        }
        return tf_estimator.export.ServingInputReceiver(
            features={**padded, "predict_batch_size": rows}, receiver_tensors=received
        )

    return serving_input


def _pad(ids: tf.Tensor, rows: tf.Tensor, shape: list[int], name: str) -> tf.Tensor:
    """Return the ids padded with zeros to `shape`; a call with more ids fails in the server."""
    fits = [
        tf.debugging.assert_equal(
            tf.shape(ids)[0], rows, message=f"{name}: number of rows differs from the inputs"
        ),
        tf.debugging.assert_less_equal(
            tf.shape(ids), shape, message=f"{name}: more rows or tokens than {shape}"
        ),
    ]
    with tf.control_dependencies(fits):
        padded = tf.pad(ids, [[0, shape[0] - tf.shape(ids)[0]], [0, shape[1] - tf.shape(ids)[1]]])
    return tf.reshape(padded, shape)
