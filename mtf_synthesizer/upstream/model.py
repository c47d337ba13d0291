"""Parts that Mesh's `run` builds from a configuration."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow.compat.v1 as tf


@dataclasses.dataclass(frozen=True)
class Model:
    """Arguments that Mesh's `run` builds for training; `run` documents the fields."""

    estimator: Any
    vocabulary: Any
    sequence_length: dict[str, int]
    batch_size: int
    train_dataset_fn: Callable[..., tf.data.Dataset]
    train_steps: int
    model_type: str
