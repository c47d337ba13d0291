"""Plain names for gin bindings of a training run; no TensorFlow needed.

--save_steps N          utils.run.save_checkpoints_steps = N
--keep_checkpoints N    utils.run.keep_checkpoint_max = N
--learning_rate RATE    utils.run.learning_rate_schedule = RATE
--freeze PATTERN        utils.run.variable_filter = all names without PATTERN
--train_only tables     utils.run.variable_filter = the tables and α
"""

import dataclasses
import re

from mtf_synthesizer import errors
from mtf_synthesizer.config import statements

SAVE_STEPS = "utils.run.save_checkpoints_steps"
KEEP_CHECKPOINTS = "utils.run.keep_checkpoint_max"
LEARNING_RATE = "utils.run.learning_rate_schedule"
VARIABLE_FILTER = "utils.run.variable_filter"
# Names of groups of variables -> pattern of their names.
GROUPS = {
    "tables": r"/(random|factorized_random|toeplitz)(_\d+)?/(table|r1|r2)$|/mixture(_\d+)?/alpha$"
}
# They change no value of the trained model, so a resumed run may change them.
_FREE = ("save_checkpoints_steps", "keep_checkpoint_max")


@dataclasses.dataclass(frozen=True)
class TrainingFlags:
    """Values of the flags; None for a flag that is not given.

    Attributes:
      save_steps: steps between checkpoints.
      keep_checkpoints: number of the last checkpoints to keep.
      learning_rate: constant learning rate.
      freeze: regular expression; variables whose names it matches are not trained.
      train_only: a name in `GROUPS`.
    """

    save_steps: int | None = None
    keep_checkpoints: int | None = None
    learning_rate: float | None = None
    freeze: str | None = None
    train_only: str | None = None

    def bindings(self) -> list[str]:
        """Return the bindings that the flags stand for.

        Raises:
          errors.UserError: an unknown group, an invalid pattern, or two choices of variables.
        """
        values = {
            SAVE_STEPS: self.save_steps,
            KEEP_CHECKPOINTS: self.keep_checkpoints,
            LEARNING_RATE: self.learning_rate,
            VARIABLE_FILTER: self._variable_filter(),
        }
        return [f"{name} = {value!r}" for name, value in values.items() if value is not None]

    def _variable_filter(self) -> str | None:
        if self.freeze is not None and self.train_only is not None:
            raise errors.UserError(
                f"--freeze {self.freeze} and --train_only {self.train_only} exclude each other. "
                "Leave one out"
            )
        if self.train_only is not None:
            errors.check("--train_only", self.train_only, GROUPS)
            return GROUPS[self.train_only]
        if self.freeze is None:
            return None
        try:
            re.compile(self.freeze)
        except re.error as error:
            raise errors.UserError(
                f"--freeze {self.freeze}: not a regular expression ({error}). Give a part of the "
                "names, such as encoder/ or 'shared|EncDecAttention'"
            ) from error
        return f"^(?!.*(?:{self.freeze}))"


def is_free(binding: str) -> bool:
    """Return whether a binding leaves all values of the trained model as they are.

    Raises:
      errors.UserError: the binding has a syntax error.
    """
    bound = [*statements.read(binding, f"--gin_param {binding!r}", False)]
    return bool(bound) and all(
        (statement.parameter or statement.selector) in _FREE for statement in bound
    )
