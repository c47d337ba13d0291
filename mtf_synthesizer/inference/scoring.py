"""Metrics of decoded texts and of the loss of true targets, with notes."""

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

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


def of_predictions(
    metrics: Iterable[Metric], targets: Sequence[Any], predictions: Sequence[Any]
) -> Scores:
    """Compute metrics; a metric that can't be computed leaves a note instead of a value.

    Args:
      metrics: metrics of a task.
      targets, predictions: results of the task's postprocessor.
    """
    if all(says_nothing(target) for target in targets):
        return Scores(notes=[NO_LABELS])
    scores = Scores()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # libraries warn of classes that were never predicted
        warnings.simplefilter("always", MetricLeftOut)
        for metric in metrics:
            _add(scores, metric, targets, predictions)
    scores.notes += [str(warning.message) for warning in caught]
    return scores


def says_nothing(target: Any) -> bool:
    """Return whether a target is a mark of T5's tasks for a missing label."""
    value = target["value"] if isinstance(target, dict) and "value" in target else target
    if isinstance(value, list | tuple | str):
        return len(value) == 0
    return value == -1


def _add(
    scores: Scores, metric: Metric, targets: Sequence[Any], predictions: Sequence[Any]
) -> None:
    for name, value in metric(targets, predictions).items():
        number = float(getattr(value, "value", value))  # seqio wraps some numbers
        if math.isnan(number):
            scores.notes.append(f"{name} is undefined for these predictions")
            continue
        scores.metrics[name] = number
        if isinstance(metric, Bleu):
            scores.signatures[name] = metric.signature()


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
