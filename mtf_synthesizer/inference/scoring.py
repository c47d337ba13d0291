"""Metrics of decoded text and of the loss of true targets, with notes."""

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
_FIRST_BYTE = 3  # ids below: padding, end of sequence, unknown


@dataclasses.dataclass
class Scores:
    """Results of a task's metrics.

    Attributes:
      metrics: name -> number, in the task's order.
      signatures: name -> sacreBLEU's signature, of those that have one.
      notes: sentences about metrics that were left out.
    """

    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    signatures: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)


def of_predictions(
    metrics: Iterable[Metric], targets: Sequence[Any], predictions: Sequence[Any]
) -> Scores:
    """Compute metrics; one that can't be computed leaves a note and no value.

    Args:
      metrics: as a task has them.
      targets, predictions: as the task's postprocessor makes them.
    """
    if all(says_nothing(target) for target in targets):
        return Scores(notes=[NO_LABELS])
    scores = Scores()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # libraries remark on classes that nobody predicted
        warnings.simplefilter("always", MetricLeftOut)
        for metric in metrics:
            _add(scores, metric, targets, predictions)
    scores.notes += [str(warning.message) for warning in caught]
    return scores


def says_nothing(target: Any) -> bool:
    """True for a target that T5's tasks write for a missing label."""
    value = target["value"] if isinstance(target, dict) and "value" in target else target
    if isinstance(value, list | tuple | str):
        return len(value) == 0
    return value == -1


def _add(
    scores: Scores, metric: Metric, targets: Sequence[Any], predictions: Sequence[Any]
) -> None:
    for name, value in metric(targets, predictions).items():
        number = float(getattr(value, "value", value))  # seqio wraps some
        if math.isnan(number):
            scores.notes.append(f"{name} is not defined for these predictions")
            continue
        scores.metrics[name] = number
        if isinstance(metric, Bleu):
            scores.signatures[name] = metric.signature()


def of_language(
    loss: float, tokens: int, rows: Sequence[Mapping[str, Any]], task: seqio.Task
) -> dict[str, float]:
    """Perplexities of a task without metrics of its own.

    Args:
      loss: nats per target token.
      tokens: number of target tokens.
      rows: the examples that these are of.
      task: of the examples.

    Returns:
      log_perplexity, the loss itself; perplexity; word_perplexity where the examples say how many
      `words` end in them, ends of lines among them; and, for language models on bytes,
      bits_per_byte of the text.
    """
    found = {"log_perplexity": loss, "perplexity": _exp(loss)}
    if all("words" in row for row in rows):
        words = sum(int(row["words"]) for row in rows)
        found["word_perplexity"] = _exp(loss * tokens / words)
    if _is_language_model_of_bytes(task):
        text = sum(int((row["targets"] >= _FIRST_BYTE).sum()) for row in rows)
        found["bits_per_byte"] = loss * tokens / math.log(2) / text
    return found


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))  # beyond it is infinite, which JSON can't say


def _is_language_model_of_bytes(task: seqio.Task) -> bool:
    if "inputs" in task.output_features:
        return False
    vocabulary = task.output_features["targets"].vocabulary
    if isinstance(vocabulary, ChosenVocabulary):
        vocabulary = vocabulary.chosen
    return isinstance(vocabulary, seqio.ByteVocabulary)
