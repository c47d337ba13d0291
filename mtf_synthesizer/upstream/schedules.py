"""Learning-rate schedules over parts of a run, counted from the step at which the run began.

Mesh counts from step 0. A run that begins with a checkpoint of step 500,000 would have no warm-up,
and "the last half" of its 10,000 steps would be all of them.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import mtf_synthesizer.runtime.compat

import gin
from mesh_tensorflow.transformer import learning_rate_schedules

_PRODUCT = "learning_rate_schedules.product_learning_rate"
# Factors over the first or last part of a run. Others depend on the step alone, as rsqrt.
_OF_PARTS = ("linear_warmup", "linear_decay")


@contextlib.contextmanager
def counted_from(begun: int) -> Iterator[None]:
    """Make a model that is built inside count these factors from a step."""
    stock = learning_rate_schedules.product_learning_rate

    def product(step: Any, total_train_steps: int, factors: Sequence[Any]) -> Any:
        offset = gin.get_bindings(_PRODUCT).get("offset", 0)
        ahead = begun - offset  # `offset` is T5's own way to count from a step
        counted = [_counted(factor, ahead) for factor in factors]
        return stock(step, total_train_steps, factors=counted)

    with mock.patch.object(learning_rate_schedules, "product_learning_rate", product):
        yield


def _counted(factor: Any, ahead: int) -> Any:
    if getattr(factor, "__name__", "") not in _OF_PARTS:
        return factor
    return functools.partial(_shifted, factor, ahead)


def _shifted(factor: Callable[..., Any], ahead: int, step: Any, total_train_steps: int) -> Any:
    return factor(step - ahead, total_train_steps - ahead)
