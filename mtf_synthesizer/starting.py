"""Starting from the checkpoint of another run: only with the same variables, unless told otherwise.

Mesh takes what has the same name, says nothing of the rest, and stops at the first other shape.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import names

_SHOWN = 6  # names of variables in a message
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

    def check(self, path: str, partial: bool) -> None:
        """Raises a UserError unless the model can start from the checkpoint.

        Args:
          path: of the checkpoint.
          partial: whether each side may have variables that the other lacks.
        """
        differing = self.reshaped or sorted([*self.dropped, *self.fresh])
        if not differing or (partial and not self.reshaped):
            return
        first = differing[0]
        remedy = "Give the --synthesizer, --size and lengths that it was trained with"
        if not self.reshaped:
            remedy += ", or --partial_init to take over what both have"
        raise names.UserError(
            f"--init_checkpoint {path} is of another model: the variable {first} is "
            f"{self.saved.get(first, 'absent')} there and {self.built.get(first, 'absent')} in "
            f"this model{self._others()}. {remedy}"
        )

    def _others(self) -> str:
        lists = {
            "of another shape": self.reshaped,
            "only there": self.dropped,
            "only in this model": self.fresh,
        }
        return "".join(f"; {what}: {_listed(found)}" for what, found in lists.items() if found)

    def __str__(self) -> str:
        """What is taken over and what is not."""
        return f"{len(self.saved.keys() & self.built.keys())} variables taken over{self._others()}"


def _listed(variables: Sequence[str]) -> str:
    more = len(variables) - _SHOWN
    return ", ".join(variables[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


class StartingEstimator:
    """The part of Mesh's Estimator that training needs, with the comparison before the first step.

    Args:
      estimator: Mesh's, which starts from the checkpoint.
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
        try:
            spec = self._estimator.model_fn(features, labels, mode, config)
        except ValueError as error:
            if "Shape of variable" in str(error):  # then all variables are there already
                self._check()
            raise
        self._check()
        return spec

    def _check(self) -> None:
        found = compare(self._path)
        found.check(self._path, self._partial)
        if found.dropped or found.fresh:
            print(f"--init_checkpoint {self._path}: {found}", file=sys.stderr, flush=True)


def compare(path: str) -> Comparison:
    """Compares a checkpoint with the variables of the current graph, those of optimizers aside."""
    saved = {name: list(shape) for name, shape in tf.train.list_variables(path)}
    built = {
        utils.init_checkpoint_variable_mapping(variable.op.name): variable.shape.as_list()
        for variable in tf.global_variables()
        if utils.should_load_variable(variable.op.name)
    }
    return Comparison(_of_model(saved), _of_model(built))


def _of_model(shapes: Shapes) -> Shapes:
    # Another optimizer has other slots for the same model.
    return {k: v for k, v in shapes.items() if "_slot_" not in k and k != "global_step"}
