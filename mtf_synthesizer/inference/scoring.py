"""Metrics of decoded texts and of the loss of true targets, with notes."""

import dataclasses
import functools
import math
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio

from mtf_synthesizer.tasks.left_out import MetricLeftOut
from mtf_synthesizer.tasks.metrics import Metric
from mtf_synthesizer.tasks.text_metrics import Bleu
from mtf_synthesizer.upstream.vocabulary import ChosenVocabulary

NO_LABELS = "the split has no labels to compare with"
_FIRST_BYTE = 3  # smaller ids: padding, end of sequence, unknown


@dataclasses.dataclass
class Scores:
    """Results of a task's metrics.

    Attributes:
      metrics: name -> number, in the task's order.
      signatures: name -> sacreBLEU's signature, for metrics of sacreBLEU.
      notes: sentences about metrics that were left out.
    """

    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    signatures: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, other: "Scores") -> None:
        """Add the results of further metrics."""
        self.metrics |= other.metrics
        self.signatures |= other.signatures
        self.notes += [note for note in other.notes if note not in self.notes]


def of_predictions(
    metrics: Iterable[Metric], targets: Sequence[Any], predictions: Sequence[Any]
) -> Scores:
    """Compute metrics; a metric that can't be computed leaves a note instead of a value.

    Args:
      metrics: metrics of a task.
      targets: results of the task's postprocessor.
      predictions: likewise, or the log-likelihood of each target for metrics of scores.
    """
    if all(says_nothing(target) for target in targets):
        return Scores(notes=[NO_LABELS])
    return computed((metric, functools.partial(metric, targets, predictions)) for metric in metrics)


def computed(calls: Iterable[tuple[Any, Callable[[], Any]]]) -> Scores:
    """Call metrics, as tasks have them: any may raise, or return anything.

    Args:
      calls: for each metric the function or object, and the call that computes its values.
    """
    scores = Scores()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # libraries warn of classes that were never predicted
        warnings.simplefilter("always", MetricLeftOut)
        for metric, call in calls:
            _add(scores, metric, call)
    scores.notes += [str(warning.message) for warning in caught]
    return scores


def says_nothing(target: Any) -> bool:
    """Return whether a target is a mark of T5's tasks for a missing label."""
    value = target["value"] if isinstance(target, dict) and "value" in target else target
    if isinstance(value, list | tuple | str | bytes):
        return len(value) == 0
    if getattr(value, "shape", ()):  # an array has no truth value
        return 0 in value.shape
    return bool(value == -1)


def _add(scores: Scores, metric: Any, call: Callable[[], Any]) -> None:
    name = named(metric)
    try:
        values = call()
    except Exception as error:  # a metric of a user's task may raise anything
        scores.notes.append(f"the metric {name} fails: {failure(error)}")
        return
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        scores.notes.append(f"the metric {name} returns {kind}, not a dictionary of numbers")
        return
    for key, value in values.items():
        number = _number(value)
        if number is None:
            kind = type(value).__name__
            scores.notes.append(f"{key} of the metric {name} is {kind}, not a number")
        elif math.isnan(number):
            scores.notes.append(f"{key} is undefined for these predictions")
        else:
            scores.metrics[str(key)] = number
            if isinstance(metric, Bleu):
                scores.signatures[str(key)] = metric.signature()


def named(metric: Any) -> str:
    """Return the name of a metric: of its function or class."""
    while isinstance(metric, functools.partial):
        metric = metric.func
    return str(getattr(metric, "__name__", type(metric).__name__))


def failure(error: Exception) -> str:
    """Describe an error of a task's own function: place, class and message."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message} ({place.filename}:{place.lineno})"


def _number(value: Any) -> float | None:
    """Return the number in a value; None for anything else, as text or several numbers."""
    array = np.asarray(getattr(value, "value", value))  # seqio wraps some
    if array.size != 1 or not (array.dtype.kind in "biuf" or array.dtype.name == "bfloat16"):
        return None
    return float(array.reshape(()))


def of_language(
    loss: float, tokens: int, rows: Sequence[Mapping[str, Any]], task: seqio.Task
) -> dict[str, float]:
    """Compute perplexities of a task without metrics.

    Args:
      loss: nats per target token.
      tokens: number of target tokens.
      rows: the examples.
      task: task of the examples.

    Returns:
      log_perplexity (the loss) and perplexity. If the examples have `words`, the number of words
      and line ends that end in them, also word_perplexity. For language models on bytes also
      bits_per_byte.
    """
    perplexities = {"log_perplexity": loss, "perplexity": _exp(loss)}
    if all("words" in row for row in rows):
        words = sum(int(row["words"]) for row in rows)
        perplexities["word_perplexity"] = _exp(loss * tokens / words)
    if _is_language_model_of_bytes(task):
        text = sum(int((row["targets"] >= _FIRST_BYTE).sum()) for row in rows)
        perplexities["bits_per_byte"] = loss * tokens / math.log(2) / text
    return perplexities


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))  # JSON has no infinity


def _is_language_model_of_bytes(task: seqio.Task) -> bool:
    if "inputs" in task.output_features:
        return False
    vocabulary = task.output_features["targets"].vocabulary
    if isinstance(vocabulary, ChosenVocabulary):
        vocabulary = vocabulary.chosen
    return isinstance(vocabulary, seqio.ByteVocabulary)
