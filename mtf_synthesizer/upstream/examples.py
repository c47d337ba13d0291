"""Examples of a task as arrays, and decoded text as records that keep each example's identity."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio
import tensorflow.compat.v1 as tf
import tensorflow_datasets as tfds

from mtf_synthesizer import errors
from mtf_synthesizer.upstream import caches, data_folder, vocabulary
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.tasks import check_task, check_vocabulary, trains_from_caches


@dataclasses.dataclass(frozen=True)
class ExampleSet:
    """The examples of one split of one task, in order.

    Attributes:
      task: the seqio task.
      rows: every example with all its fields, tokenized features as int arrays of any length.
      lengths: for each feature the length that holds all its rows.
    """

    task: seqio.Task
    rows: list[dict[str, Any]]
    lengths: dict[str, int]

    def arrays(self) -> dict[str, np.ndarray]:
        """int32 [examples, length] of each feature, padded with 0."""
        return {
            feature: np.stack([_fitted(row[feature], length) for row in self.rows])
            for feature, length in self.lengths.items()
        }


def _fitted(ids: np.ndarray, length: int) -> np.ndarray:
    """Trims or pads a row; a trimmed one still ends with EOS, as in T5's own evaluation."""
    row = np.zeros(length, np.int32)
    row[: min(len(ids), length)] = ids[:length]
    if len(ids) > length:
        row[-1] = vocabulary.EOS
    return row


def load(
    task: seqio.Task,
    split: str,
    sequence_length: Mapping[str, int],
    limit: int | None,
    use_cached: bool = False,
) -> ExampleSet:
    """Reads a split, always in the same order and with the same noise.

    Args:
      task: the seqio task.
      split: one of its splits.
      sequence_length: the longest length of each feature.
      limit: read only so many examples.
      use_cached: whether they are read from the task's cache.

    Raises:
      errors.UserError: it has no examples.
    """
    with tf.Graph().as_default():
        dataset = task.get_dataset(
            dict(sequence_length), split=split, use_cached=use_cached, shuffle=False, seed=0
        )
        rows = list(tfds.as_numpy(dataset if limit is None else dataset.take(limit)))
    features = [name for name in task.output_features if rows and name in rows[0]]
    lengths = {
        name: min(max(len(row[name]) for row in rows), sequence_length[name]) for name in features
    }
    if not rows:
        raise errors.UserError(
            f"the split {split!r} of task {task.name} has no examples: prepare its data again, or "
            "choose another split"
        )
    return ExampleSet(task, rows, lengths)


def padded(arrays: Mapping[str, np.ndarray], batch_size: int) -> dict[str, np.ndarray]:
    """Adds rows of padding up to a whole number of batches."""
    return {
        name: np.pad(array, [(0, -len(array) % batch_size), (0, 0)])
        for name, array in arrays.items()
    }


def input_fn(
    arrays: Mapping[str, np.ndarray], batch_size: int
) -> Callable[[Mapping[str, Any]], tf.data.Dataset]:
    """An Estimator input function over whole batches."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(next(iter(arrays.values()))), batch_size):
            yield {name: array[start : start + batch_size] for name, array in arrays.items()}

    # Not from_tensor_slices: as constants of the graph, QQP's test set takes 8 GB of memory.
    def dataset(params: Mapping[str, Any]) -> tf.data.Dataset:
        del params
        signature = {
            name: tf.TensorSpec([batch_size, *array.shape[1:]], array.dtype)
            for name, array in arrays.items()
        }
        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    return dataset


def example_sets(task: str, split: str, model: Model, limit: int | None) -> list[ExampleSet]:
    check_task(task)
    data_folder.check(task, split)
    check_vocabulary(task, model.estimator.model_dir)
    return [
        load(each, split, model.sequence_length, limit)
        for each in seqio.get_subtasks(seqio.get_mixture_or_task(task))
        if split in each.splits
    ]


def probe_features(task: str, model: Model) -> dict[str, np.ndarray]:
    """A few examples to look at the attention with, of the validation split where there is one."""
    first = seqio.get_subtasks(seqio.get_mixture_or_task(task))[0]
    cached = trains_from_caches() and first.supports_caching
    splits = caches.splits(first) if cached else first.splits
    split = "validation" if "validation" in splits else "train"
    return load(first, split, model.sequence_length, 4, cached).arrays()
