"""Allowed values of well-known bindings, checked before a layer fails or a run hangs.

A name means the same as a macro (`num_layers = 4`) and as a parameter of a function of T5, Mesh or
this package (`SyntheticAttention.num_heads = 4`).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from mtf_synthesizer import errors


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of value: its description and its test."""

    allowed: str
    fits: Callable[[Any], bool]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value > 0


def _is_batch(value: Any) -> bool:
    """Accept the values that Mesh's compute_batch_size accepts."""
    if isinstance(value, list | tuple) and len(value) == 2:
        return isinstance(value[0], str) and _is_count(value[1])
    return _is_count(value)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


_COUNT = Kind("a whole number above 0", _is_count)
_COUNT_OR_NONE = Kind(f"{_COUNT.allowed}, or None", lambda v: v is None or _is_count(v))
_NOT_NEGATIVE = Kind("a whole number, 0 or more", lambda v: _is_whole(v) and v >= 0)
_NOT_NEGATIVE_OR_NONE = Kind(
    f"{_NOT_NEGATIVE.allowed}, or None", lambda v: v is None or _NOT_NEGATIVE.fits(v)
)
_BATCH = Kind(f'{_COUNT.allowed}, or a pair like ("tokens_per_batch", 65536)', _is_batch)
_RATE = Kind("a number in [0, 1)", lambda v: v is None or (_is_number(v) and 0 <= v < 1))
_LEARNING_RATE = Kind(
    "a finite number, 0 or more", lambda v: v is None or (_is_number(v) and v >= 0)
)
_BOOL = Kind("True or False", lambda v: isinstance(v, bool))

KINDS = {
    "num_layers": _COUNT,
    "d_model": _COUNT,
    "d_ff": _COUNT,
    "d_kv": _COUNT,
    "num_heads": _COUNT,
    "key_value_size": _COUNT,
    "num_memory_heads": _NOT_NEGATIVE,
    "rank": _COUNT,
    "max_length": _COUNT_OR_NONE,
    "inputs_length": _COUNT,
    "targets_length": _COUNT,
    "train_steps": _COUNT,
    "save_checkpoints_steps": _COUNT,
    "keep_checkpoint_max": _NOT_NEGATIVE_OR_NONE,
    "batch_size": _BATCH,
    "dropout_rate": _RATE,
    "label_smoothing": _RATE,
    "learning_rate": _LEARNING_RATE,
    "learning_rate_schedule": _LEARNING_RATE,
    "beam_size": _COUNT,
    "pack": _BOOL,
    "use_cached": _BOOL,
}


def check(origin: str, name: str, value: Any) -> None:
    """Raise a UserError unless a macro or parameter may have a value.

    Args:
      origin: place of the binding, for the message.
      name: the macro or parameter; an unlisted name may have any value.
      value: a literal.

    Raises:
      errors.UserError: the value is not allowed.
    """
    kind = KINDS.get(name)
    if kind is not None and not kind.fits(value):
        raise errors.UserError(f"{origin}: {name} must be {kind.allowed}, not {value!r}")
