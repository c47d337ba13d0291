"""Metrics of a task in all forms that seqio has: functions and objects, of text and of scores."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio
from seqio.metrics import CollectingMetric, LegacyMetric, ModelOutputType

from mtf_synthesizer.tasks import metrics
from mtf_synthesizer.upstream.examples import ExampleSet

# Types of Mesh's models that give a target its log-likelihood.
SCORING_MODELS = ("bitransformer", "delimited_lm", "lm")


def read_text(task: seqio.Task) -> bool:
    """Return whether a task has metrics of decoded text."""
    return bool(metrics.of(task) or _objects(task, ModelOutputType.PREDICTION))


def read_scores(task: seqio.Task) -> bool:
    """Return whether a task has metrics of the log-likelihoods of its targets."""
    return bool(task.score_metric_fns or _objects(task, ModelOutputType.SCORE))


def without_values(task: seqio.Task) -> list[Any]:
    """Return the metrics of a task that need outputs which Mesh's models don't have."""
    kinds = (ModelOutputType.PREDICTION_WITH_AUX, ModelOutputType.SCORE_WITH_INTERMEDIATES)
    objects = [metric for kind in kinds for metric in _objects(task, kind)]
    return [*task.predict_with_aux_metric_fns, *objects]


def _objects(task: seqio.Task, kind: ModelOutputType) -> list[Any]:
    """Return the metric objects that a task was defined with; seqio adds one for each function."""
    own = task.metric_objs[: len(task.metric_objs) - len(task.metric_fns)]
    return [metric for metric in own if metric.model_output_type == kind]


def of_text(examples: ExampleSet, outputs: Sequence[str]) -> list[tuple[Any, Callable[[], Any]]]:
    """Return the metric objects of decoded text, each with the call that computes its values.

    The objects read token ids: those of the decoded text, padded with 0.
    """
    if not _objects(examples.task, ModelOutputType.PREDICTION):
        return []  # most tasks: tokenizing all outputs once more would be wasted
    vocabulary = examples.task.output_features["targets"].vocabulary
    rows = [list(vocabulary.encode(output)) for output in outputs]
    length = max(map(len, rows), default=0)
    ids = np.array([row + [0] * (length - len(row)) for row in rows], np.int32)
    return _calls(examples, ModelOutputType.PREDICTION, ids)


def of_scores(examples: ExampleSet, scores: Sequence[float]) -> list[tuple[Any, Callable[[], Any]]]:
    """Return the metric objects of log-likelihoods, likewise."""
    return _calls(examples, ModelOutputType.SCORE, np.array(scores))


def _calls(
    examples: ExampleSet, kind: ModelOutputType, output: np.ndarray
) -> list[tuple[Any, Callable[[], Any]]]:
    return [
        (metric, functools.partial(_computed, metric, examples, output))
        for metric in _objects(examples.task, kind)
    ]


def _computed(metric: Any, examples: ExampleSet, output: np.ndarray) -> Any:
    """Compute the values of a metric object as seqio's Evaluator does."""
    features = examples.task.output_features
    if isinstance(metric, LegacyMetric):  # it keeps the targets of an earlier evaluation
        metric = dataclasses.replace(metric, metric_fn_kwargs={}, targets_and_inferences={})
    computed = metric.from_model_output(examples.rows, output, features)
    if isinstance(computed, CollectingMetric):
        return computed.actual_compute(examples.rows, features)[0]
    return computed.compute()
