"""Starting from the checkpoint of another run: only with the same variables, unless told otherwise.

Mesh takes what has the same name, says nothing of the rest, and stops at the first other shape.
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import mtf_synthesizer.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import literal_paths, names
from mtf_synthesizer.checkpoints import is_of_optimizer, listed

Shapes = Mapping[str, list[int]]


@dataclasses.dataclass(frozen=True)
class Comparison:
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
        raise names.UserError(
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


class StartingEstimator:
    """The part of Mesh's Estimator that training needs, with variables from a checkpoint.

    Args:
      estimator: Mesh's, which starts anew.
      path: of the checkpoint.
      partial: whether each side may have variables that the other lacks; they are printed.
    """

    def __init__(self, estimator: Any, path: str, partial: bool):
        self._estimator, self._path, self._partial = estimator, path, partial
        self.model_dir, self.config = estimator.model_dir, estimator.config

    def model_fn(self, features: Any, labels: Any, mode: str, config: Any) -> Any:
        """What Mesh builds.

        Raises:
          names.UserError: the checkpoint is of another model.
        """
        spec = self._estimator.model_fn(features, labels, mode, config)
        found = compare(self._path)
        found.check(self._path, self._partial)
        if found.dropped or found.fresh:
            print(f"--init_checkpoint {self._path}: {found}", file=sys.stderr, flush=True)
        _take_over(self._path)
        return spec


def _take_over(path: str) -> None:
    """Lets the variables of the current graph begin with the values of a checkpoint.

    As Mesh does, but whatever type the values are saved as: T5's own are bfloat16.
    """
    reader = tf.train.load_checkpoint(path)
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    for variable in _loaded():
        name = utils.init_checkpoint_variable_mapping(variable.op.name)
        if shapes.get(name) == variable.shape.as_list():  # but for the state of another optimizer
            (value,) = tf.raw_ops.RestoreV2(
                prefix=literal_paths.checkpoint(path),
                tensor_names=[name],
                shape_and_slices=[""],
                dtypes=[types[name]],
            )
            value = tf.cast(value, variable.dtype.base_dtype)
            variable._initializer_op = tf.assign(variable, value, validate_shape=False).op


def _loaded() -> list[tf.Variable]:
    return [each for each in tf.global_variables() if utils.should_load_variable(each.op.name)]


def compare(path: str) -> Comparison:
    """Compares a checkpoint with the variables of the current graph, those of optimizers aside."""
    saved = {name: list(shape) for name, shape in tf.train.list_variables(path)}
    built = {
        utils.init_checkpoint_variable_mapping(variable.op.name): variable.shape.as_list()
        for variable in _loaded()
    }
    return Comparison(_of_model(saved), _of_model(built))


def _of_model(shapes: Shapes) -> Shapes:
    # Another optimizer has other slots for the same model.
    return {k: v for k, v in shapes.items() if not is_of_optimizer(k) and k != "global_step"}
