"""Official scores of STS-B, which T5's targets round to a multiple of 0.2."""

from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import seqio
import tensorflow.compat.v1 as tf
import tensorflow_datasets as tfds

from mtf_synthesizer.tasks import metrics

TASK = "glue_stsb_v002"


def read(task: seqio.Task, split: str, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the score in the data for each example.

    Args:
      task: T5's STS-B, whose preprocessor rounds.
      split: split of the examples.
      rows: examples of the split, with their `idx`.
    """
    with tf.Graph().as_default():
        data = tfds.as_numpy(task.source.get_dataset(split, shuffle=False))
        scores = {int(row["idx"]): float(row["label"]) for row in data}
    return [scores[int(row["idx"])] for row in rows]


def correlations(scores: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Compute STS-B's correlations `official_pearson_corrcoef` and `official_spearman_corrcoef`.

    Args:
      scores: official scores.
      predictions: decoded numbers of a model.
    """
    both = metrics.similarity_pearson(scores, predictions)
    both |= metrics.similarity_spearman(scores, predictions)
    return {f"official_{name}": value for name, value in both.items()}
