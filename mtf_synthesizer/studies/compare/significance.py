"""Differences of the rows of a comparison from its first row, from the files of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio

from mtf_synthesizer.files import paths
from mtf_synthesizer.inference import scoring
from mtf_synthesizer.studies.compare import evidence
from mtf_synthesizer.studies.compare.evidence import Difference, Score
from mtf_synthesizer.submissions import prediction_files
from mtf_synthesizer.tasks import dialogue_metrics, metrics
from mtf_synthesizer.tasks.text_metrics import Bleu

PREDICTIONS = "predictions.jsonl"
_NEAR = 1e-6  # a mean of single examples that equals the metric

Records = Sequence[Mapping[str, Any]]


def differences(
    rows: Mapping[str, Mapping[str, Any]], folders: Mapping[str, Sequence[paths.Path]]
) -> list[Difference]:
    """Compare every row with the first.

    Args:
      rows: row -> its entry in results.json.
      folders: row -> the model folders of its seeds.
    """
    names = list(rows)
    uncorrected = []
    for row in names[1:]:
        for metric, values in rows[row]["metrics"].items():
            if metric in rows[names[0]]["metrics"]:
                first = rows[names[0]]["metrics"][metric]["values"]
                scores = _scores(metric, [folders[names[0]], folders[row]])
                uncorrected.append(_difference(row, metric, first, values["values"], scores))
    return evidence.corrected(uncorrected)


def _difference(
    row: str,
    metric: str,
    first: Sequence[float],
    other: Sequence[float],
    scores: tuple[Score, Score, int, bool] | None,
) -> Difference:
    spread, of_seeds = evidence.over_seeds(first, other)
    mean = float(np.mean(other) - np.mean(first))
    low = high = p = None
    if scores is not None:
        low, high, p = evidence.over_examples(*scores)
    return Difference(row, metric, mean, spread, low, high, p, of_seeds)


def _scores(
    metric: str, folders: Sequence[Sequence[paths.Path]]
) -> tuple[Score, Score, int, bool] | None:
    """Scores of two rows on any of their examples; None unless both have the same predictions."""
    task, _, name = metric.rpartition("/")
    read = [[_records(folder, task) for folder in of_row] for of_row in folders]
    runs = [run for row in read for run in row]
    counts = {len(run) for run in runs}
    if len(counts) != 1 or 0 in counts or any("target" not in record for record in runs[0]):
        return None
    functions = metrics.of(seqio.get_mixture_or_task(runs[0][0]["task"]))
    function = next(
        (candidate for candidate in functions if _value(candidate, runs[0], name) is not None), None
    )
    if function is None:  # of official scores, not of the predictions
        return None
    scores_of_rows = [[_RunScore(run, function, name) for run in row] for row in read]

    def score(row: Sequence[_RunScore]) -> Score:
        return lambda examples: float(np.mean([run.of(examples) for run in row]))

    is_fast = all(run.is_fast for row in scores_of_rows for run in row)
    return score(scores_of_rows[0]), score(scores_of_rows[1]), counts.pop(), is_fast


def _records(folder: paths.Path, task: str) -> Records:
    """The predictions of a run for a task; for its only task without a name."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return []
    records = [prediction.fields for prediction in prediction_files.read([path])]
    return [record for record in records if not task or record["task"] == task]


class _RunScore:
    """One metric of the predictions of a run, on any of its examples.

    A mean over examples and BLEU are computed from numbers of each example, which is fast.
    """

    def __init__(self, records: Records, function: metrics.Metric, name: str):
        self._records, self._function, self._name = records, function, name
        self._counts = self._singles = None
        if isinstance(function, Bleu):
            targets, predictions = _columns(records)
            self._counts = function.counts(targets, predictions)
        elif function is not dialogue_metrics.meteor:  # a Java process for each call
            self._singles = self._means()

    @property
    def is_fast(self) -> bool:
        """True if no example is scored twice."""
        return self._counts is not None or self._singles is not None

    def of(self, examples: np.ndarray) -> float:
        """Return the metric of the examples with these numbers."""
        if isinstance(self._function, Bleu) and self._counts is not None:
            return self._function.of_counts(self._counts[examples].sum(0))
        if self._singles is not None:
            return float(self._singles[examples].mean())
        chosen = [self._records[number] for number in examples]
        value = _value(self._function, chosen, self._name)
        return float("nan") if value is None else value

    def _means(self) -> np.ndarray | None:
        """The metric of each example; None unless it is their mean."""
        try:
            singles = [_value(self._function, [record], self._name) for record in self._records]
        except (ValueError, ZeroDivisionError):  # a correlation needs two examples
            return None
        total = _value(self._function, self._records, self._name)
        if total is None or any(value is None for value in singles):
            return None
        means = np.array(singles, np.float64)
        return means if abs(means.mean() - total) <= _NEAR * max(1, abs(total)) else None


def _value(function: metrics.Metric, records: Records, name: str) -> float | None:
    """A metric of predictions; None if the function does not compute it."""
    return scoring.of_predictions([function], *_columns(records)).metrics.get(name)


def _columns(records: Records) -> tuple[list[Any], list[Any]]:
    """The targets and the predictions."""
    return [record["target"] for record in records], [record["prediction"] for record in records]


def table(compared: Sequence[Difference], first: str) -> str:
    """The differences as a table in Markdown."""
    heads = ["row", "metric", f"minus {first}", "95 % over examples", "p examples", "p seeds"]
    heads += ["p corrected", "seeds for a power of 0.8"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for difference in compared:
        interval = (
            "" if difference.low is None else f"{difference.low:+.3f} to {difference.high:+.3f}"
        )
        ps = [
            "" if p is None else f"{p:.3f}" for p in (difference.of_examples, difference.of_seeds)
        ]
        last = ["" if difference.corrected is None else f"{difference.corrected:.3f}"]
        last.append("" if difference.seeds is None else str(difference.seeds))
        lines.append(
            _line(
                [difference.row, difference.metric, f"{difference.mean:+.3f}", interval, *ps, *last]
            )
        )
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
