"""Evaluating and decoding with the checkpoint of another model is refused before it is read.

TensorFlow would stop at the first variable of another shape without its name, and would say nothing
of those that only the checkpoint has.
"""

from typing import Any

import mtf_synthesizer.compat

import tensorflow.compat.v1 as tf

from mtf_synthesizer import names, saved_types, starting


class FittingHook(tf.train.SessionRunHook):
    """Compares the variables of a graph with a checkpoint, once all of them are there.

    Args:
      checkpoint: its path.
    """

    def __init__(self, checkpoint: str):
        self._checkpoint = checkpoint

    def begin(self) -> None:
        """Called by TensorFlow before it makes a session.

        Raises:
          names.UserError: the checkpoint is of another model.
        """
        check(self._checkpoint)


def check(checkpoint: str) -> None:
    """Compares the variables of the current graph with a checkpoint.

    Raises:
      names.UserError: the checkpoint is of another model.
    """
    difference = starting.compare(checkpoint).difference
    if difference:
        raise names.UserError(
            f"{checkpoint} is of another model: {difference}. The configuration beside it says "
            "which: leave out the --gin_file or --gin_param that changes the model"
        )
    saved_types.check(checkpoint)


class FittingEstimator:
    """The part of an Estimator that Mesh's decoding needs, with the comparison before it.

    Args:
      estimator: Mesh's.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator

    def predict(self, input_fn: Any, checkpoint_path: str) -> Any:
        """As the Estimator's."""
        return self._estimator.predict(
            input_fn, checkpoint_path=checkpoint_path, hooks=[FittingHook(checkpoint_path)]
        )
