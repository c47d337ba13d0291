"""Examples of a task as arrays, and decoded text as records that keep each example's identity."""

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import mtf_synthesizer.compat

import numpy as np
import seqio
import tensorflow.compat.v1 as tf
import tensorflow_datasets as tfds

from mtf_synthesizer import names, saving, scoring, tokens
from mtf_synthesizer.configuration import Checkpoint
from mtf_synthesizer.tasks import stock_metrics

# Fields of an example that say which one it is; official submissions are joined by them.
_IDENTITY = re.compile(r"^(idx|id|index|guid)([/_].*)?$")
_NO_TARGET = (b"<unk>", b"")  # the first is what T5's preprocessors make of the label -1


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
        row[-1] = tokens.EOS
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
      names.UserError: it has no examples.
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
        raise names.UserError(
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


def metrics(examples: ExampleSet, outputs: list[str]) -> scoring.Scores:
    """The task's metrics of the decoded text against the true targets."""
    return scoring.of_predictions(
        stock_metrics.of(examples.task), _targets(examples), _postprocessed(examples, outputs)
    )


def records(
    examples: ExampleSet, outputs: list[str], split: str, checkpoint: Checkpoint
) -> list[dict[str, Any]]:
    """One dictionary for each example: see `runner.predict`."""
    made_by = {"step": checkpoint.step, "checkpoint": checkpoint.fingerprint}
    predictions = _postprocessed(examples, outputs)
    targets = _targets(examples)
    found = []
    for index, (row, output, prediction) in enumerate(
        zip(examples.rows, outputs, predictions, strict=True)
    ):
        record = {"task": examples.task.name, "split": split, **made_by, "index": index}
        record |= {k: _plain(v) for k, v in row.items() if _IDENTITY.match(k) and k != "index"}
        record |= {"output": output, "prediction": _plain(prediction)}
        if targets:
            record["target"] = _plain(targets[index])
        found.append(record)
    return found


def _postprocessed(examples: ExampleSet, outputs: list[str]) -> list[Any]:
    return [
        examples.task.postprocess_fn(output, example=row, is_target=False)
        for output, row in zip(outputs, examples.rows, strict=True)
    ]


def _targets(examples: ExampleSet) -> list[Any]:
    """What the metrics compare with; empty where the split has no targets."""
    if any("targets_pretokenized" not in row for row in examples.rows):
        return []
    return [
        examples.task.postprocess_fn(
            tf.compat.as_text(row["targets_pretokenized"]), example=row, is_target=True
        )
        for row in examples.rows
    ]


def has_labels(examples: ExampleSet) -> bool:
    """Whether the targets say anything: official test splits have T5's signs of missing labels."""
    texts = [row.get("targets_pretokenized") for row in examples.rows]
    if any(text is None for text in texts):  # made of the inputs, as in span corruption
        return True
    if all(text in _NO_TARGET for text in texts):
        return False
    return not all(scoring.says_nothing(target) for target in _targets(examples))


def _plain(value: Any) -> Any:
    """NumPy values and bytes as what JSON knows."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def write_lines(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines, replacing the file only once it is complete."""
    saving.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
