"""Growth of a step's time with the length, at a constant number of tokens."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.studies.bench import timing
from mtf_synthesizer.studies.bench.lineup import BenchEntry
from mtf_synthesizer.studies.bench.processes import Processes
from mtf_synthesizer.studies.bench.setting import DECODING, PUBLIC_TABLES, Setting

LENGTHS = (128, 256, 512, 1024, 2048)


def at_length(setting: Setting, length: int) -> Setting:
    """The setting with inputs of another length and the same number of tokens in a batch.

    The targets' length changes in proportion, so the decoder's tokens stay the same too, up to
    rounding.
    """
    size = setting.size
    scaled = size.targets_length * length / size.inputs_length
    changed = replace(
        size,
        batch=size.batch * size.inputs_length // length,
        inputs_length=length,
        targets_length=max(1, round(scaled)),
    )
    return replace(setting, size=changed)


def check(rows: Sequence[str], setting: Setting, lengths: Sequence[int]) -> None:
    """Check rows and lengths before anything is built.

    Raises:
      UserError: a row or the mode has only one possible length, or a length does not divide the
        tokens of a batch.
    """
    short = [row for row in rows if row in PUBLIC_TABLES]
    if short:
        raise UserError(
            f"--sweep: tables of {', '.join(short)}, the public layer, have 512 rows at every "
            "length. Omit these names from --rows"
        )
    if setting.mode in DECODING:
        raise UserError(f"--sweep is for --mode train and evaluate, not for {setting.mode}")
    if len(set(lengths)) < 2:
        raise UserError(f"--sweep {','.join(map(str, lengths))}: growth needs two lengths or more")
    tokens = setting.size.batch * setting.size.inputs_length
    bad = [length for length in lengths if length < 1 or tokens % length]
    if bad:
        raise UserError(
            f"--sweep: a batch of this --size has {tokens} tokens, which don't divide into rows of "
            f"{', '.join(map(str, bad))}. Give lengths that divide {tokens}"
        )
    for length in lengths:
        at_length(setting, length).check(rows)


def measure(
    processes: Processes,
    entries: Sequence[BenchEntry],
    steps: int,
    lengths: Sequence[int],
    peaks: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Measure every entry at every length; entries take turns at each length.

    Returns:
      For each entry its fields of the JSON output: `row`, `matmul_precision`, `growth`,
      `doublings` and `lengths`.
    """
    summaries: list[list[dict[str, Any]]] = [[] for _ in entries]
    for length in sorted(set(lengths)):
        moved = [replace(entry, setting=at_length(entry.setting, length)) for entry in entries]
        size = moved[0].setting.size
        shape = {
            "length": length,
            "targets_length": size.targets_length,
            "batch": size.batch,
        }
        for number, result in enumerate(timing.measure(processes, moved, steps)):
            summary = result.summary(peaks)
            summaries[number].append(shape | _without_name(summary))
    return [
        {"row": entry.row, "matmul_precision": entry.precision} | _growth(measured)
        for entry, measured in zip(entries, summaries, strict=True)
    ]


def _without_name(summary: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in summary.items() if k not in ("row", "matmul_precision")}


def _growth(measured: list[dict[str, Any]]) -> dict[str, Any]:
    lengths = [point["length"] for point in measured]
    times = [point["cpu_ms"] for point in measured]
    return {
        "growth": round(exponent(lengths, times), 3),
        "doublings": [round(exponent, 3) for exponent in exponents(lengths, times)],
        "lengths": measured,
    }


def exponent(lengths: Sequence[int], times: Sequence[float]) -> float:
    """The exponent g of the best fit time ~ length^g: least squares of the logarithms."""
    fit = statistics.linear_regression(
        [math.log(length) for length in lengths], [math.log(time) for time in times]
    )
    return fit.slope


def exponents(lengths: Sequence[int], times: Sequence[float]) -> list[float]:
    """The exponent between each length and the next."""
    pairs = zip(lengths, times, strict=True)
    return [
        math.log(later / time) / math.log(longer / length)
        for (length, time), (longer, later) in itertools.pairwise(pairs)
    ]
