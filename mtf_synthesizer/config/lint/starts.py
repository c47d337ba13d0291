"""Bindings that start a run elsewhere, or pass over data, behind the back of `train`.

T5 starts from `utils.run.init_checkpoint`. The published configurations of its models bind it to a
place at gs://, and the operative_config.gin of a fine-tuned model to its pretrained model.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.config.values import BoundValues

_START = "init_checkpoint"
_OWNERS = ("run", "tpu_estimator_model_fn")
NONE = f"utils.run.{_START} = None"
# Of the data that a resumed run has seen: the values that `train` has, and the reason.
_OF_DATA = {
    "skip_seen_data": (True, "a resumed run always passes over the batches it has seen"),
    "seen_data_init_step": (None, "seen batches are counted from --init_checkpoint"),
    "checkpoint_input_pipeline": (
        False,
        "checkpoints don't hold the input pipeline: a resumed run passes over seen batches",
    ),
}


def check(files: Sequence[str], params: Sequence[str]) -> None:
    """Check the gin files and bindings that a user gives `train`.

    Raises:
      errors.UserError: one of them starts from a checkpoint, or changes how data is passed over.
    """
    bound = BoundValues(files, params)
    for owner in _OWNERS:
        if bound.value(owner, _START) is not None:
            raise errors.UserError(
                f"{_shown(bound, owner, _START)} is not followed: give --{_START} with "
                f"this checkpoint. To start afresh give --gin_param '{NONE}'"
            )
    for parameter, (own, reason) in _OF_DATA.items():
        if bound.value("run", parameter) not in (None, own):
            raise errors.UserError(
                f"{_shown(bound, 'run', parameter)}: {reason}. Leave the binding out"
            )


def check_reader(files: Sequence[str], params: Sequence[str]) -> None:
    """Check the changes to a trained model, whose values are those of its own checkpoints.

    Raises:
      errors.UserError: one of them starts from another checkpoint.
    """
    bound = BoundValues(files, params)
    for owner in _OWNERS:
        if bound.value(owner, _START) is not None:
            raise errors.UserError(
                f"{_shown(bound, owner, _START)} is not followed: the checkpoints of "
                "--model_dir are read. Leave the binding out"
            )


def without_start(files: Sequence[str]) -> list[str]:
    """Return the bindings with which a model folder's configuration starts nowhere else."""
    return [] if BoundValues(files, ()).value("run", _START) is None else [NONE]


def _shown(bound: BoundValues, owner: str, parameter: str) -> str:
    statement = bound.statement(owner, parameter)
    assert statement is not None
    value = bound.value(owner, parameter)
    return f"{statement.origin}: {statement.selector}.{parameter} = {value!r}"
