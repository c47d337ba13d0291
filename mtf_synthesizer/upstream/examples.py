"""Examples of a task as arrays that keep the order and fields of each example."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio
import tensorflow.compat.v1 as tf
import tensorflow_datasets as tfds

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import best
from mtf_synthesizer.upstream import caches, data_folder, vocabulary
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.tasks import check_task, check_vocabulary, trains_from_caches


@dataclasses.dataclass(frozen=True)
class ExampleSet:
    """Examples of one split of one task, in order.

    Attributes:
      task: the seqio task.
      rows: every example with all its fields; tokenized features are int arrays of any length.
      lengths: feature -> length that holds all its rows.
    """

    task: seqio.Task
    rows: list[dict[str, Any]]
    lengths: dict[str, int]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return int32 [examples, length] for each feature, padded with 0."""
        return {
            feature: np.stack([_fitted(row[feature], length) for row in self.rows])
            for feature, length in self.lengths.items()
        }


def _fitted(ids: np.ndarray, length: int) -> np.ndarray:
    """Trim or pad a row; a trimmed row still ends with EOS, as in T5's own evaluation."""
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
    """Read a split, always in the same order and with the same noise.

    Args:
      task: the seqio task.
      split: a split of the task.
      sequence_length: maximal length of each feature.
      limit: maximal number of examples, or None.
      use_cached: whether to read from the task's cache.

    Raises:
      errors.UserError: the split has no examples.
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
            f"the split {split!r} of task {task.name} has no examples. Prepare its data again, or "
            "choose another split"
        )
    return ExampleSet(task, rows, lengths)


def padded(arrays: Mapping[str, np.ndarray], batch_size: int) -> dict[str, np.ndarray]:
    """Add rows of padding up to a whole number of batches."""
    return {
        name: np.pad(array, [(0, -len(array) % batch_size), (0, 0)])
        for name, array in arrays.items()
    }


def input_fn(
    arrays: Mapping[str, np.ndarray], batch_size: int
) -> Callable[[Mapping[str, Any]], tf.data.Dataset]:
    """Return an Estimator input function over whole batches."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(next(iter(arrays.values()))), batch_size):
            yield {name: array[start : start + batch_size] for name, array in arrays.items()}

    # from_tensor_slices would make constants of the graph: 8 GB of memory for QQP's test set.
    def dataset(params: Mapping[str, Any]) -> tf.data.Dataset:
        del params
        signature = {
            name: tf.TensorSpec([batch_size, *array.shape[1:]], array.dtype)
            for name, array in arrays.items()
        }
        return tf.data.Dataset.from_generator(batches, output_signature=signature)

    return dataset


def example_sets(task: str, split: str, model: Model, limit: int | None) -> list[ExampleSet]:
    """Read a split of every task in a task or mixture that has this split.

    Args:
      task: name of the task or mixture.
      split: name of the split.
      model: the model, for its vocabulary and lengths.
      limit: maximal number of examples per task, or None.

    Raises:
      errors.UserError: an unknown task or split, missing data, or another vocabulary.
    """
    check_task(task, model.estimator.model_dir)
    data_folder.check(task, split)
    check_vocabulary(task, paths.of(model.estimator.model_dir))
    return [
        load(subtask, split, model.sequence_length, limit)
        for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))
        if split in subtask.splits
    ]


def probe_features(task: str, model: Model) -> dict[str, np.ndarray]:
    """Return four examples to record attention on, of the first task with a fitting split.

    A mixture may begin with a task that has a test split alone, as GLUE begins with AX.
    """
    subtasks = seqio.get_subtasks(seqio.get_mixture_or_task(task))
    places = (
        (subtask, split, cached)
        for subtask in subtasks
        for splits, cached in [_read_in_training(subtask)]
        for split in (*best.SPLITS, "train")
        if split in splits
    )
    subtask, split, cached = next(places, (subtasks[0], "train", False))
    return load(subtask, split, model.sequence_length, 4, cached).arrays()


def _read_in_training(task: seqio.Task) -> tuple[Sequence[str], bool]:
    """Return the splits of a task as its training reads it, and whether they are cached."""
    cached = trains_from_caches() and task.supports_caching
    return caches.splits(task) if cached else task.splits, cached
