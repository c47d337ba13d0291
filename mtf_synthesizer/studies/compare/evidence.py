"""Tests of differences between rows: over examples, over seeds, corrected for their number."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.stats

ALPHA, POWER = 0.05, 0.8
_RESAMPLES = 2000
_FEW_RESAMPLES = 200  # of metrics that are computed again each time

# A metric of the examples with these numbers, for one row: mean over its seeds.
Score = Callable[[np.ndarray], float]


@dataclasses.dataclass(frozen=True)
class Difference:
    """The difference of a row from the first row, in one metric.

    Attributes:
      row, metric: names.
      mean: mean of the row's seeds minus mean of the first row's.
      spread: standard deviation of one run, pooled over both rows; None with one seed each.
      low, high: 95 % interval of the difference over resampled examples; None without predictions.
      of_examples: p of the paired bootstrap over examples; None without predictions.
      of_seeds: p of Welch's t-test over seeds; None with one seed.
      corrected: the larger p of the two, by Holm's correction for all comparisons of this table.
      seeds: seeds of each row with which a difference of this size would be found with a power of
        0.8; None without a spread.
    """

    row: str
    metric: str
    mean: float
    spread: float | None
    low: float | None
    high: float | None
    of_examples: float | None
    of_seeds: float | None
    corrected: float | None = None
    seeds: int | None = None


def over_seeds(first: Sequence[float], other: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the pooled standard deviation, and the p of Welch's t-test; None with one seed each.

    Seeds whose values do not differ at all have no p.
    """
    if len(first) < 2 or len(other) < 2:
        return None, None
    variances = np.var(first, ddof=1), np.var(other, ddof=1)
    spread = math.sqrt(sum(variances) / 2)
    if not spread:
        return 0.0, None
    return spread, float(scipy.stats.ttest_ind(other, first, equal_var=False).pvalue)


def over_examples(
    first: Score, other: Score, count: int, is_fast: bool, seed: int = 0
) -> tuple[float, float, float]:
    """Return a 95 % interval and p of the paired bootstrap over examples.

    Both rows are scored on the same resampled examples (Koehn 2004, "Statistical significance
    tests for machine translation evaluation").

    Args:
      first, other: scores of the rows.
      count: the number of examples.
      is_fast: whether many resamples are affordable.
      seed: seed of the resamples.
    """
    draw = np.random.RandomState(seed)
    times = _RESAMPLES if is_fast else _FEW_RESAMPLES
    resampled = np.empty(times)
    for number in range(times):
        examples = draw.randint(count, size=count)
        resampled[number] = other(examples) - first(examples)
    low, high = np.quantile(resampled, [0.025, 0.975])
    below, above = (resampled <= 0).sum(), (resampled >= 0).sum()
    p = min(1.0, 2 * (min(below, above) + 1) / (times + 1))
    return float(low), float(high), float(p)


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Correct p for the number of comparisons (Holm 1979), and say how many seeds would do."""
    ps = [
        (p, i) for i, difference in enumerate(differences) if (p := _larger(difference)) is not None
    ]
    result, worst = list(differences), 0.0
    for rank, (p, index) in enumerate(sorted(ps)):
        worst = max(worst, min(1.0, p * (len(ps) - rank)))
        result[index] = dataclasses.replace(result[index], corrected=worst)
    level = ALPHA / max(len(differences), 1)
    return [
        dataclasses.replace(difference, seeds=_seeds(difference, level)) for difference in result
    ]


def _larger(difference: Difference) -> float | None:
    ps = [p for p in (difference.of_examples, difference.of_seeds) if p is not None]
    return max(ps) if ps else None


def _seeds(difference: Difference, level: float) -> int | None:
    """Seeds of each row, by the normal approximation: 2 (z_a + z_b)^2 (s / d)^2, at least 2."""
    if not difference.spread or not difference.mean:
        return None
    z = scipy.stats.norm.isf(level / 2) + scipy.stats.norm.isf(1 - POWER)
    return max(2, math.ceil(2 * (z * difference.spread / difference.mean) ** 2))
