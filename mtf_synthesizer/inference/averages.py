"""GLUE's and SuperGLUE's score: the mean of the tasks, as the leaderboards compute it.

A task's score is the mean of its metrics. MNLI is one task, the mean of its matched and mismatched
part. The diagnostic sets (AX, AX-b, AX-g) don't count.
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
    """A column of a leaderboard that counts.

    Attributes:
      name: as the leaderboard has it.
      metrics: the keys that count.
      tasks: what is between the benchmark's name and the version in the names of its tasks; all of
        them are needed.
    """

    name: str
    metrics: tuple[str, ...]
    tasks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ScoredBenchmark:
    """A leaderboard's score.

    Attributes:
      name: as people say it.
      prefix: how the names of its tasks begin.
      columns: what the score is the mean of.
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
# With fewer it is a score of tasks, not of a benchmark.
_FEWEST_COLUMNS = 2


def averages(scores: Mapping[str, Metrics]) -> list[dict[str, Any]]:
    """The score of each benchmark with at least two columns.

    Args:
      scores: name of a task -> its metrics. Names are T5's: glue_cola_v002.

    Returns:
      For each benchmark its name, value, tasks (column -> score, those that the value is the mean
      of) and missing (the other columns).
    """
    found = (average(benchmark, scores) for benchmark in BENCHMARKS)
    return [each for each in found if len(each["tasks"]) >= _FEWEST_COLUMNS]


def average(benchmark: ScoredBenchmark, scores: Mapping[str, Metrics]) -> dict[str, Any]:
    """The entry of `averages` for one benchmark; value is None without any column."""
    columns = {column.name: _score(benchmark, column, scores) for column in benchmark.columns}
    there = {name: score for name, score in columns.items() if score is not None}
    return {
        "benchmark": benchmark.name,
        "value": statistics.mean(there.values()) if there else None,
        "tasks": there,
        "missing": [name for name in columns if name not in there],
    }


def _score(
    benchmark: ScoredBenchmark, column: ScoreColumn, scores: Mapping[str, Metrics]
) -> float | None:
    """The mean over the column's tasks and metrics; None if one of them is missing."""
    parts = [
        metrics_of(f"{benchmark.prefix}_{task}", column.metrics, scores) for task in column.tasks
    ]
    if not all(parts):
        return None
    return statistics.mean(value for part in parts for value in part)


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None for one value, or if a perplexity is infinite."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    return statistics.stdev(values)


def metrics_of(task: str, metrics: Sequence[str], scores: Mapping[str, Metrics]) -> list[float]:
    """The metrics of the first task of that name, whatever its version, that has all of them."""
    name = re.compile(rf"(synthesizer_)?{task}_v\d+(_.*)?")
    for found, values in scores.items():
        if name.fullmatch(found) and all(metric in values for metric in metrics):
            return [values[metric] for metric in metrics]
    return []
