"""Metrics of labels and numbers in seqio's form: (targets, predictions) -> values.

All values are in per cent. docs/metrics.md names the convention of each metric.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import seqio
from scipy import stats
from t5.evaluation import metrics as t5_metrics

from mtf_synthesizer.tasks import text_metrics

Metric = Callable[[Sequence[Any], Sequence[Any]], Mapping[str, float]]

SIMILARITY_RANGE = (0.0, 5.0)  # scores of STS-B


def accuracy(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
    """Compute the per cent of predictions that equal their target."""
    hits = sum(map(_equal, targets, predictions))
    return {"accuracy": 100 * hits / len(targets)}


def _equal(target: Any, prediction: Any) -> bool:
    if isinstance(target, np.ndarray) or isinstance(prediction, np.ndarray):
        return np.array_equal(target, prediction)
    return bool(target == prediction)


def similarity_pearson(targets: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Compute Pearson's correlation of STS-B, predictions clipped to 0..5; 0 if constant."""
    return {"pearson_corrcoef": _correlation(stats.pearsonr, targets, predictions)}


def similarity_spearman(targets: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Compute Spearman's rank correlation, otherwise as `similarity_pearson`."""
    return {"spearman_corrcoef": _correlation(stats.spearmanr, targets, predictions)}


def _correlation(
    function: Callable[..., Any], targets: Sequence[float], predictions: Sequence[float]
) -> float:
    x, y = np.asarray(targets, np.float64), in_similarity_range(predictions)
    # A correlation with a constant is 0/0. A model with constant answers has learned nothing.
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return 100 * float(function(x, y)[0])


def in_similarity_range(values: Sequence[float]) -> np.ndarray:
    """Convert numbers to STS-B scores: clipped to 0..5, and 0 for NaN."""
    return np.clip(np.nan_to_num(np.asarray(values, np.float64), nan=0.0), *SIMILARITY_RANGE)


def symbols_accuracy(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Per cent of rows that are right in all symbols, and of symbols that are right.

    Symbols are separated by spaces. A symbol counts at its own place only, and a missing one as
    wrong; symbols beyond the end of the target make a row wrong.
    """
    rows = [
        (target.split(), prediction.split())
        for target, prediction in zip(targets, predictions, strict=True)
    ]
    right = sum(sum(map(str.__eq__, target, prediction)) for target, prediction in rows)
    return {
        "exact_match": 100 * sum(target == prediction for target, prediction in rows) / len(rows),
        "symbol_accuracy": 100 * right / sum(len(target) for target, _ in rows),
    }


REPLACED: Mapping[Metric, Metric] = {
    t5_metrics.bleu: text_metrics.international_bleu,
    t5_metrics.rouge: text_metrics.rouge,
}
# Other tasks use these metrics of T5 for other ranges.
REPLACED_IN: Mapping[str, Mapping[Metric, Metric]] = {
    "glue_stsb_v002": {
        t5_metrics.pearson_corrcoef: similarity_pearson,
        t5_metrics.spearman_corrcoef: similarity_spearman,
    }
}


def of(task: seqio.Task) -> list[Metric]:
    """Return the metrics of decoded text; empty if a task has none, or only metrics of scores."""
    replaced = {**REPLACED, **REPLACED_IN.get(task.name, {})}
    return [replaced.get(metric, metric) for metric in task.predict_metric_fns]
