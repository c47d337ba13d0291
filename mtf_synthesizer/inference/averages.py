"""Scores of GLUE and SuperGLUE: the mean of the tasks, as the leaderboards compute it.

The score of a task is the mean of its metrics. MNLI is one task: the mean of its matched and
mismatched parts. The diagnostic sets (AX, AX-b, AX-g) do not count.
"""

import dataclasses
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Metrics = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class ScoreColumn:
    """A column of a leaderboard that counts for the score.

    Attributes:
      name: name of the column on the leaderboard.
      metrics: names of the metrics whose mean is the score of the column.
      tasks: tasks of the column, all needed: their names without the prefix of the benchmark and
        the version.
    """

    name: str
    metrics: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ScoredBenchmark:
    """A benchmark with a leaderboard score.

    Attributes:
      name: name of the benchmark in reports.
      prefix: beginning of the names of its tasks.
      columns: columns whose mean is the score.
    """

    name: str
    prefix: str
    columns: tuple[ScoreColumn, ...]


_ACCURACY = ("accuracy",)
_F1_AND_ACCURACY = ("f1", "accuracy")

GLUE = ScoredBenchmark(
    "GLUE",
    "glue",
    (
        ScoreColumn("CoLA", ("matthews_corrcoef",), ("cola",)),
        ScoreColumn("SST-2", _ACCURACY, ("sst2",)),
        ScoreColumn("MRPC", _F1_AND_ACCURACY, ("mrpc",)),
        ScoreColumn("STS-B", ("pearson_corrcoef", "spearman_corrcoef"), ("stsb",)),
        ScoreColumn("QQP", _F1_AND_ACCURACY, ("qqp",)),
        ScoreColumn("MNLI", _ACCURACY, ("mnli_matched", "mnli_mismatched")),
        ScoreColumn("QNLI", _ACCURACY, ("qnli",)),
        ScoreColumn("RTE", _ACCURACY, ("rte",)),
        ScoreColumn("WNLI", _ACCURACY, ("wnli",)),
    ),
)
SUPER_GLUE = ScoredBenchmark(
    "SuperGLUE",
    "super_glue",
    (
        ScoreColumn("BoolQ", _ACCURACY, ("boolq",)),
        ScoreColumn("CB", ("mean_3class_f1", "accuracy"), ("cb",)),
        ScoreColumn("COPA", _ACCURACY, ("copa",)),
        ScoreColumn("MultiRC", ("f1", "exact_match"), ("multirc",)),
        ScoreColumn("ReCoRD", ("f1", "em"), ("record",)),
        ScoreColumn("RTE", _ACCURACY, ("rte",)),
        ScoreColumn("WiC", _ACCURACY, ("wic",)),
        ScoreColumn("WSC", _ACCURACY, ("wsc",)),
    ),
)
BENCHMARKS = (GLUE, SUPER_GLUE)
# The mean of fewer columns would be a score of a task, not of the benchmark.
_FEWEST_COLUMNS = 2


def averages(scores: Mapping[str, Metrics]) -> list[dict[str, Any]]:
    """Return the score of each benchmark with at least two columns.

    Args:
      scores: task -> its metrics. The names of tasks are T5's, e.g. glue_cola_v002.

    Returns:
      For each benchmark: benchmark (name), value (the score), tasks (column -> score, for the
      columns in the mean) and missing (names of the other columns).
    """
    entries = (average(benchmark, scores) for benchmark in BENCHMARKS)
    return [entry for entry in entries if len(entry["tasks"]) >= _FEWEST_COLUMNS]


def average(benchmark: ScoredBenchmark, scores: Mapping[str, Metrics]) -> dict[str, Any]:
    """Return the entry of `averages` for one benchmark; value is None without columns."""
    columns = {column.name: _score(benchmark, column, scores) for column in benchmark.columns}
    scored = {name: score for name, score in columns.items() if score is not None}
    return {
        "benchmark": benchmark.name,
        "value": statistics.mean(scored.values()) if scored else None,
        "tasks": scored,
        "missing": [name for name in columns if name not in scored],
    }


def _score(
    benchmark: ScoredBenchmark, column: ScoreColumn, scores: Mapping[str, Metrics]
) -> float | None:
    """Return the mean over tasks and metrics of a column; None if one of them is missing."""
    parts = [
        metrics_of(f"{benchmark.prefix}_{task}", column.metrics, scores) for task in column.tasks
    ]
    if not all(parts):
        return None
    return statistics.mean(value for part in parts for value in part)


def spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation over seeds; None for one value or an infinite one."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return statistics.stdev(values)


def metrics_of(task: str, metrics: Sequence[str], scores: Mapping[str, Metrics]) -> list[float]:
    """Return metrics of the first version of a task that has all of them; empty without one."""
    pattern = re.compile(rf"(synthesizer_)?{task}_v\d+(_.*)?")
    for name, values in scores.items():
        if pattern.fullmatch(name) and all(metric in values for metric in metrics):
            return [values[metric] for metric in metrics]
    return []
