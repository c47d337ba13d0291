"""Differences of the rows of a comparison from its first row, from the files of their runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio

from mtf_synthesizer.files import paths
from mtf_synthesizer.inference import scoring
from mtf_synthesizer.studies.compare import evidence
from mtf_synthesizer.studies.compare.evidence import Difference, Score
from mtf_synthesizer.tasks import metrics

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
    found = []
    for row in names[1:]:
        for metric, values in rows[row]["metrics"].items():
            if metric in rows[names[0]]["metrics"]:
                first = rows[names[0]]["metrics"][metric]["values"]
                scores = _scores(metric, [folders[names[0]], folders[row]])
                found.append(_difference(row, metric, first, values["values"], scores))
    return evidence.corrected(found)


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
    read = [[_records(folder, task) for folder in each] for each in folders]
    runs = [run for row in read for run in row]
    counts = {len(run) for run in runs}
    if len(counts) != 1 or 0 in counts or any("target" not in each for each in runs[0]):
        return None
    functions = metrics.of(seqio.get_mixture_or_task(runs[0][0]["task"]))
    made = [[_RunScore(run, functions, name) for run in row] for row in read]
    is_mean = all(run.is_mean for row in made for run in row)

    def score(row: Sequence[_RunScore]) -> Score:
        return lambda examples: float(np.mean([run.of(examples, is_mean) for run in row]))

    return score(made[0]), score(made[1]), counts.pop(), is_mean


def _records(folder: paths.Path, task: str) -> Records:
    """The predictions of a run for a task; for its only task without a name."""
    path = folder / PREDICTIONS
    if not path.is_file():
        return []
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
    return [each for each in found if not task or each["task"] == task]


class _RunScore:
    """One metric of the predictions of a run, on any of its examples."""

    def __init__(self, records: Records, functions: Sequence[metrics.Metric], name: str):
        self._targets = [each["target"] for each in records]
        self._predictions = [each["prediction"] for each in records]
        self._functions, self._name = functions, name
        singles = [self._of([number]) for number in range(len(records))]
        self._singles = np.array([np.nan if value is None else value for value in singles])
        whole = self._of(range(len(records)))
        mean = float(np.mean(self._singles))
        self.is_mean = whole is not None and abs(mean - whole) <= _NEAR * max(1, abs(whole))

    def of(self, examples: np.ndarray, is_mean: bool) -> float:
        """Return the metric of the examples with these numbers."""
        if is_mean:
            return float(self._singles[examples].mean())
        value = self._of(examples)
        return float("nan") if value is None else value

    def _of(self, examples: Sequence[int] | range | np.ndarray) -> float | None:
        targets = [self._targets[number] for number in examples]
        predictions = [self._predictions[number] for number in examples]
        found = scoring.of_predictions(self._functions, targets, predictions).metrics
        return found.get(self._name)


def table(found: Sequence[Difference], first: str) -> str:
    """The differences as a table in Markdown."""
    heads = ["row", "metric", f"minus {first}", "95 % over examples", "p examples", "p seeds"]
    heads += ["p corrected", "seeds for a power of 0.8"]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for each in found:
        interval = "" if each.low is None else f"{each.low:+.3f} to {each.high:+.3f}"
        ps = ["" if p is None else f"{p:.3f}" for p in (each.of_examples, each.of_seeds)]
        last = ["" if each.corrected is None else f"{each.corrected:.3f}"]
        last.append("" if each.seeds is None else str(each.seeds))
        lines.append(_line([each.row, each.metric, f"{each.mean:+.3f}", interval, *ps, *last]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
