"""Starting from the checkpoint of another run: only with the same variables, unless told otherwise.

Mesh takes what has the same name, says nothing of the rest, and stops at the first other shape.
"""

import dataclasses
from collections.abc import Mapping

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.checkpoints import is_of_optimizer, listed

Shapes = Mapping[str, list[int]]


@dataclasses.dataclass(frozen=True)
class CheckpointDifferences:
    """The variables of a checkpoint and those of a model.

    Attributes:
      saved, built: name -> shape.
    """

    saved: Shapes
    built: Shapes

    @property
    def reshaped(self) -> list[str]:
        """Those that have another shape."""
        both = self.saved.keys() & self.built.keys()
        return sorted(name for name in both if self.saved[name] != self.built[name])

    @property
    def dropped(self) -> list[str]:
        """Those that only the checkpoint has."""
        return sorted(self.saved.keys() - self.built.keys())

    @property
    def fresh(self) -> list[str]:
        """Those that only the model has."""
        return sorted(self.built.keys() - self.saved.keys())

    @property
    def difference(self) -> str:
        """The first variable that differs, with both shapes, and the others; empty without any."""
        differing = self.reshaped or sorted([*self.dropped, *self.fresh])
        if not differing:
            return ""
        there, here = (shapes.get(differing[0], "absent") for shapes in (self.saved, self.built))
        return (
            f"the variable {differing[0]} is {there} there and {here} in this model{self._others()}"
        )

    def check(self, path: str, partial: bool) -> None:
        """Raises a UserError unless the model can start from the checkpoint.

        Args:
          path: of the checkpoint.
          partial: whether each side may have variables that the other lacks.
        """
        if not self.difference or (partial and not self.reshaped):
            return
        remedy = "Give the --synthesizer, --size and lengths that it was trained with"
        if not self.reshaped:
            remedy += ", or --partial_init to take over what both have"
        raise errors.UserError(
            f"--init_checkpoint {path} is of another model: {self.difference}. {remedy}"
        )

    def _others(self) -> str:
        lists = {
            "of another shape": self.reshaped,
            "only there": self.dropped,
            "only in this model": self.fresh,
        }
        return "".join(f"; {what}: {listed(found)}" for what, found in lists.items() if found)

    def __str__(self) -> str:
        """What is taken over and what is not."""
        return f"{len(self.saved.keys() & self.built.keys())} variables taken over{self._others()}"


def loaded_variables() -> list[tf.Variable]:
    return [each for each in tf.global_variables() if utils.should_load_variable(each.op.name)]


def compare(path: str) -> CheckpointDifferences:
    """Compares a checkpoint with the variables of the current graph, those of optimizers aside."""
    saved = {name: list(shape) for name, shape in tf.train.list_variables(path)}
    built = {
        utils.init_checkpoint_variable_mapping(variable.op.name): variable.shape.as_list()
        for variable in loaded_variables()
    }
    return CheckpointDifferences(_of_model(saved), _of_model(built))


def _of_model(shapes: Shapes) -> Shapes:
    # Another optimizer has other slots for the same model.
    return {k: v for k, v in shapes.items() if not is_of_optimizer(k) and k != "global_step"}


def check_variables(checkpoint: str) -> None:
    """Compares the variables of the current graph with a checkpoint.

    Raises:
      errors.UserError: the checkpoint is of another model.
    """
    difference = compare(checkpoint).difference
    if difference:
        raise errors.UserError(
            f"{checkpoint} is of another model: {difference}. The configuration beside it says "
            "which: leave out the --gin_file or --gin_param that changes the model"
        )
    check_types(checkpoint)


def check_same_model(model_dir: str) -> None:
    """Compares the variables of the current graph with those of the folder's checkpoint.

    Raises:
      errors.UserError: the folder holds another model, which the Saver would report by a page of
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
            raise errors.UserError(
                f"{model_dir} holds another model: the variable {name} is "
                f"{saved.get(name, 'absent')} in {checkpoint}, and {built.get(name, 'absent')} "
                "in this one. Choose another --model_dir, or the model that is there"
            )
    check_types(checkpoint)


def is_rounded(path: str) -> bool:
    """Whether a checkpoint holds bfloat16, as T5's do and those of earlier releases."""
    return tf.bfloat16 in tf.train.load_checkpoint(path).get_variable_to_dtype_map().values()


def check_types(path: str) -> None:
    """Compares the types of the current graph's variables with those of a checkpoint.

    Raises:
      errors.UserError: they are others, which TensorFlow would say of each variable.
    """
    types = tf.train.load_checkpoint(path).get_variable_to_dtype_map()
    for variable in tf.global_variables():
        saved, wanted = types.get(variable.op.name), variable.dtype.base_dtype
        if saved not in (None, wanted) and utils.should_load_variable(variable.op.name):
            raise errors.UserError(
                f"{path} is saved as {saved.name}, which can't be read as {wanted.name}: leave "
                f"out the binding get_variable_dtype.master_dtype = {wanted.name!r}. (A run that "
                "begins in a new folder with --init_checkpoint may have another type)"
            )
