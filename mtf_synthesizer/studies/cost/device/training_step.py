"""The Mesh graph of a whole training step, as Mesh itself builds it, before lowering."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer.studies.cost.model import Model

_MODES = tf.estimator.ModeKeys
# Further parts of a feature in a packed row.
_PACKED = ("segmentation", "position")


@dataclasses.dataclass(frozen=True)
class StepSetting:
    """Inputs of Mesh's training step; names and meanings follow Mesh's `run`."""

    model: Model
    model_type: str
    mesh_shape: mtf.Shape
    layout_rules: mtf.LayoutRules
    batch_size: int
    sequence_length: dict[str, int]
    packed: bool
    optimizer: Callable[..., mtf.optimize.Optimizer]
    variable_filter: Any
    autostack: bool


@dataclasses.dataclass(frozen=True)
class Step:
    """A training step.

    Attributes:
      mesh: the mesh, with its graph.
      loss: loss of the batch.
      gradients: gradients of the trained variables that the loss depends on.
      trained: the trained variables.
      model_variables: the model's variables, trained or not; all others are the optimizer's.
      updates: operations that assign to variables.
    """

    mesh: mtf.Mesh
    loss: mtf.Tensor
    gradients: tuple[mtf.Tensor, ...]
    trained: tuple[mtf.Variable, ...]
    model_variables: tuple[mtf.Variable, ...]
    updates: tuple[mtf.Operation, ...]


class _Built(Exception):
    """Carries a step out of Mesh's function before the function lowers the graph."""

    def __init__(self, step: Step):
        super().__init__()
        self.step = step


def model_function(setting: StepSetting, **others: Any) -> Callable[..., Any]:
    """Mesh's model function; gin supplies the arguments that `setting` and `others` lack."""
    return utils.tpu_estimator_model_fn(
        model_type=setting.model_type,
        transformer_model=setting.model,
        vocabulary=None,
        model_dir="unused",
        mesh_shape=setting.mesh_shape,
        layout_rules=setting.layout_rules,
        batch_size=setting.batch_size,
        sequence_length=setting.sequence_length,
        autostack=setting.autostack,
        keep_checkpoint_max=None,
        save_checkpoints_steps=1000,
        learning_rate_schedule=0.01,
        optimizer=setting.optimizer,
        variable_filter=setting.variable_filter,
        **others,
    )


def build(setting: StepSetting) -> Step:
    """Build a step in the default graph of TensorFlow."""

    def watched(learning_rate: Any) -> mtf.optimize.Optimizer:
        return _Watched(setting.optimizer(learning_rate=learning_rate))

    tf.train.get_or_create_global_step()
    model_fn = model_function(
        dataclasses.replace(setting, optimizer=watched),
        use_tpu=False,
        tpu_summaries=True,  # so that the graph tells which tensor is the loss
    )
    try:
        model_fn(_features(setting), None, _MODES.TRAIN, {})
    except _Built as built:
        return built.step
    raise AssertionError("Mesh built a training step without an optimizer")


def microbatches(setting: StepSetting) -> int:
    """The number of parts into which Mesh divides the batch, one after another."""
    return int(
        utils.serialize_num_microbatches(
            mtf.Dimension("batch", setting.batch_size),
            setting.sequence_length,
            setting.mesh_shape,
            setting.layout_rules,
        )
    )


# Mesh's types of models that read a single text -> the features that they read.
_TEXTS = {"lm": ("targets",)}


def _features(setting: StepSetting) -> dict[str, tf.Tensor]:
    """A batch in the form of T5's data sets."""
    features = {}
    for name in _TEXTS.get(setting.model_type, ("inputs", "targets")):
        shape = [setting.batch_size, setting.sequence_length[name]]
        also = [f"{name}_{suffix}" for suffix in _PACKED] if setting.packed else []
        for feature in (name, *also):
            features[feature] = tf.placeholder(tf.int32, shape, feature)
    return features


class _Watched(mtf.optimize.Optimizer):
    """Applies another optimizer, then ends the build of the step."""

    def __init__(self, optimizer: mtf.optimize.Optimizer):
        self._optimizer = optimizer

    def apply_grads(
        self, grads: Sequence[mtf.Tensor | None], variables: Sequence[mtf.Variable]
    ) -> None:
        graph = variables[0].graph
        model_variables = tuple(graph.all_variables)
        summaries = [
            operation
            for operation in graph.operations
            if isinstance(operation, mtf.ops.ScalarSummaryOperation)
        ]
        used = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        raise _Built(
            Step(
                mesh=variables[0].mesh,
                loss=summaries[-1].inputs[0],
                gradients=tuple(gradient for gradient, _ in used),
                trained=tuple(variable for _, variable in used),
                model_variables=model_variables,
                updates=tuple(self._optimizer.apply_grads(grads, variables)),
            )
        )
