"""Estimators with hooks and summaries, and with initial values from a checkpoint.

Mesh builds the graph of a training step and lowers it, in `utils.tpu_estimator_model_fn`. (Batches
of evaluations and predictions are lowered in `upstream.estimators`.) Mesh's function takes no hooks
and prints the loss on every step. On a CPU it collects its scalar summaries but writes none.
`ObservedEstimator` adds hooks and summaries to its Estimator.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.runtime import literal_paths
from mtf_synthesizer.training import trained_variables
from mtf_synthesizer.upstream import repeatable, variables


class ObservedEstimator:
    """An Estimator like Mesh's, with hooks and summaries and without prints.

    Args:
      estimator: Mesh's Estimator.
      before: the checkpoint that the training resumes from; None without one.
      seed: seed of initial values and dropout.
      summary_steps: steps between summaries.
      hooks: function from the tensor of the loss and Mesh's hooks to the hooks of the training.
      listeners: listeners to call for every saved checkpoint.
    """

    def __init__(
        self,
        estimator: Any,
        before: Checkpoint | None,
        seed: int,
        summary_steps: int,
        hooks: Callable[
            [tf.Tensor, Sequence[tf.train.SessionRunHook]], list[tf.train.SessionRunHook]
        ],
        listeners: Sequence[tf_estimator.CheckpointSaverListener],
    ):
        self._listeners = [*listeners]

        def model_fn(features: Any, labels: Any, mode: str, config: Any) -> Any:
            with repeatable.random_by_step():
                spec = estimator.model_fn(features, labels, mode, config)
            trained_variables.check()
            repeatable.update_last(spec.train_op)
            if before is not None:
                variables.check_same_model(before)
            for name, value in tf.get_collection(mtf.utils.SCALAR_SUMMARIES_COLLECTION_KEY):
                # tf.summary.scalar would append a number to the tag, because Mesh has an operation
                # of the same name.
                summary = tf.raw_ops.ScalarSummary(tags=name, values=value)
                tf.add_to_collection(tf.GraphKeys.SUMMARIES, summary)
            loss = _without_print(spec.loss)
            of_training = hooks(loss, spec.training_chief_hooks)
            return spec._replace(loss=loss, training_chief_hooks=of_training)

        self._estimator = tf_estimator.Estimator(
            model_fn,
            config=estimator.config.replace(
                tf_random_seed=seed,
                save_summary_steps=summary_steps,
                log_step_count_steps=summary_steps,
            ),
        )

    def train(self, input_fn: Any, max_steps: int, hooks: Any) -> None:
        """Train; called by Mesh's `train_model`."""
        self._estimator.train(
            input_fn, max_steps=max_steps, hooks=hooks, saving_listeners=self._listeners
        )

    def latest_checkpoint(self) -> str | None:
        """Return the latest checkpoint; called by Mesh's `train_model`."""
        path: str | None = self._estimator.latest_checkpoint()
        return path

    def get_variable_value(self, name: str) -> np.ndarray:
        return self._estimator.get_variable_value(name)


def _without_print(loss: tf.Tensor) -> tf.Tensor:
    """Return the tensor that Mesh wraps into tf.Print."""
    return loss.op.inputs[0] if loss.op.type == "Print" else loss


class StartingEstimator:
    """The part of Mesh's Estimator that training needs, with variables from a checkpoint.

    Args:
      estimator: Mesh's Estimator without a checkpoint.
      path: path of the checkpoint.
      partial: whether model and checkpoint may lack variables of each other; they are printed.
    """

    def __init__(self, estimator: Any, path: str, partial: bool):
        self._estimator, self._path, self._partial = estimator, path, partial
        self.model_dir, self.config = estimator.model_dir, estimator.config

    def model_fn(self, features: Any, labels: Any, mode: str, config: Any) -> Any:
        """Build Mesh's model, with initial values from the checkpoint.

        Raises:
          errors.UserError: the checkpoint is of another model.
        """
        spec = self._estimator.model_fn(features, labels, mode, config)
        differences = variables.compare(self._path)
        differences.check(self._path, self._partial)
        if differences.dropped or differences.fresh:
            print(f"--init_checkpoint {self._path}: {differences}", file=sys.stderr, flush=True)
        _initialize_from(self._path)
        return spec


def _initialize_from(path: str) -> None:
    """Initialize the variables of the current graph with the values of a checkpoint.

    Unlike Mesh, accept any type of saved values: T5's checkpoints are in bfloat16.
    """
    reader = tf.train.load_checkpoint(path)
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    for variable in variables.loaded_variables():
        name = utils.init_checkpoint_variable_mapping(variable.op.name)
        # The state of another optimizer has other shapes and is not loaded.
        if shapes.get(name) == variable.shape.as_list():
            (value,) = tf.raw_ops.RestoreV2(
                prefix=literal_paths.checkpoint(path),
                tensor_names=[name],
                shape_and_slices=[""],
                dtypes=[types[name]],
            )
            value = tf.cast(value, variable.dtype.base_dtype)
            variable._initializer_op = tf.assign(variable, value, validate_shape=False).op
