"""Comparison of a checkpoint with a model's variables, before a run starts from the checkpoint.

Mesh restores variables with equal names, ignores the others silently, and stops at the first
different shape. Here a start needs equal variables, unless the user asks for a partial start.
"""

import dataclasses
from collections.abc import Mapping

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.checkpoints import Checkpoint, is_of_optimizer, listed

Shapes = Mapping[str, list[int]]


@dataclasses.dataclass(frozen=True)
class CheckpointDifferences:
    """Differences between the variables of a checkpoint and of a model.

    Attributes:
      saved: variables of the checkpoint: name -> shape.
      built: variables of the model: name -> shape.
    """

    saved: Shapes
    built: Shapes

    @property
    def reshaped(self) -> list[str]:
        """Variables with different shapes."""
        both = self.saved.keys() & self.built.keys()
        return sorted(name for name in both if self.saved[name] != self.built[name])

    @property
    def dropped(self) -> list[str]:
        """Variables that only the checkpoint has."""
        return sorted(self.saved.keys() - self.built.keys())

    @property
    def fresh(self) -> list[str]:
        """Variables that only the model has."""
        return sorted(self.built.keys() - self.saved.keys())

    @property
    def difference(self) -> str:
        """The first difference with both shapes, and the other names; empty without any."""
        differing = self.reshaped or sorted([*self.dropped, *self.fresh])
        if not differing:
            return ""
        in_checkpoint, in_model = (
            shapes.get(differing[0], "absent") for shapes in (self.saved, self.built)
        )
        return (
            f"the variable {differing[0]} is {in_checkpoint} there and {in_model} in this model"
            f"{self._others()}"
        )

    def check(self, path: str, partial: bool) -> None:
        """Raise a UserError unless the model can start from the checkpoint.

        Args:
          path: path of the checkpoint.
          partial: whether each side may have variables that the other lacks.

        Raises:
          errors.UserError: a shape differs, or a variable is missing and `partial` is False.
        """
        if not self.difference or (partial and not self.reshaped):
            return
        remedy = "Give the --synthesizer, --size and lengths of its training"
        if not self.reshaped:
            remedy += ", or --partial_init to restore the common variables"
        raise errors.UserError(
            f"--init_checkpoint {path} belongs to another model: {self.difference}. {remedy}"
        )

    def _others(self) -> str:
        lists = {
            "of another shape": self.reshaped,
            "only there": self.dropped,
            "only in this model": self.fresh,
        }
        return "".join(f"; {label}: {listed(names)}" for label, names in lists.items() if names)

    def __str__(self) -> str:
        """Return the number of restored variables, and the names of the others."""
        return f"{len(self.saved.keys() & self.built.keys())} variables taken over{self._others()}"


def loaded_variables() -> list[tf.Variable]:
    return [
        variable
        for variable in tf.global_variables()
        if utils.should_load_variable(variable.op.name)
    ]


def trainable() -> list[tf.Variable]:
    """Return the variables of the current graph that have gradients, without optimizer state."""
    return list(tf.trainable_variables())


def compare(path: str) -> CheckpointDifferences:
    """Compare a checkpoint with the variables of the current graph, without optimizer state."""
    return differences(path, {v.op.name: v.shape.as_list() for v in tf.global_variables()})


def differences(path: str, built: Shapes) -> CheckpointDifferences:
    """Compare a checkpoint to start from with a model's variables, without optimizer state.

    Args:
      path: path of the checkpoint.
      built: variables of the model: name -> shape.
    """
    loaded = {
        utils.init_checkpoint_variable_mapping(name): shape
        for name, shape in built.items()
        if utils.should_load_variable(name)
    }
    return _compared(path, loaded)


def _compared(path: str, built: Shapes) -> CheckpointDifferences:
    saved = {name: list(shape) for name, shape in tf.train.list_variables(path)}
    return CheckpointDifferences(_of_model(saved), _of_model(built))


def _of_model(shapes: Shapes) -> Shapes:
    # Another optimizer has other slots for the same model.
    return {
        name: shape
        for name, shape in shapes.items()
        if not is_of_optimizer(name) and name != "global_step"
    }


def check_variables(checkpoint: str) -> None:
    """Compare the variables of the current graph with a checkpoint.

    Raises:
      errors.UserError: the checkpoint belongs to another model.
    """
    difference = compare(checkpoint).difference
    if difference:
        raise errors.UserError(
            f"{checkpoint} belongs to another model: {difference}. Leave out the --gin_file or "
            "--gin_param that changes the model described in its folder"
        )
    check_types(checkpoint)


def check_same_model(checkpoint: Checkpoint) -> None:
    """Compare all variables of the current graph with the checkpoint to resume from.

    Raises:
      errors.UserError: the folder holds another model, for which the Saver would print a page of
        missing keys, or a model saved in another type.
    """
    built = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    shapes = _compared(checkpoint.path, built)
    differing = sorted([*shapes.reshaped, *shapes.dropped, *shapes.fresh])
    if differing:
        name = differing[0]
        raise errors.UserError(
            f"{paths.of(checkpoint.path).parent} holds another model: the variable {name} is "
            f"{shapes.saved.get(name, 'absent')} in {checkpoint.path}, and "
            f"{shapes.built.get(name, 'absent')} in this one. Choose another --model_dir, or the "
            "model of that folder"
        )
    check_types(checkpoint.path)


def is_rounded(path: str) -> bool:
    """Return whether a checkpoint holds bfloat16, as T5's and those of earlier releases do."""
    return tf.bfloat16 in tf.train.load_checkpoint(path).get_variable_to_dtype_map().values()


def check_types(path: str) -> None:
    """Compare the types of the current graph's variables with those of a checkpoint.

    Raises:
      errors.UserError: the types differ, for which TensorFlow would print an error per variable.
    """
    types = tf.train.load_checkpoint(path).get_variable_to_dtype_map()
    for variable in tf.global_variables():
        saved, built = types.get(variable.op.name), variable.dtype.base_dtype
        if saved not in (None, built) and utils.should_load_variable(variable.op.name):
            raise errors.UserError(
                f"{path} is saved as {saved.name}, which can't be read as {built.name}. Leave "
                f"out the binding get_variable_dtype.master_dtype = {built.name!r}, or start in "
                "a new --model_dir with --init_checkpoint"
            )
