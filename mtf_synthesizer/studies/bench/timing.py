"""The time of steps, with all rows side by side in one process.

The rows take turns step by step, in another order each time, so other load on the machine affects
all rows alike. CPU time is reported beside wall time: on a shared machine CPU time is steadier.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.studies.bench.program import STEP, Program, flops
from mtf_synthesizer.studies.bench.rows import layers
from mtf_synthesizer.studies.bench.setting import DECODING, Setting

# The parts of a training step in their order; each run of a part includes the parts before it.
PARTS = ("forward", "backward", STEP)


@dataclasses.dataclass
class Result:
    """Measurements of one row.

    Attributes:
      row: name of the row.
      parameters: number of trainable parameters.
      flops: FLOPs of a step; None if not counted.
      tokens: tokens that a step decodes; 0 outside decoding.
      cache_bytes: bytes that self-attention keeps of these tokens.
      cpu_ms: part -> CPU time of each run.
      wall_ms: part -> wall time of each run.
    """

    row: str
    parameters: int
    flops: int | None = None
    tokens: int = 0
    cache_bytes: int = 0
    cpu_ms: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    wall_ms: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def add(self, part: str, cpu_ms: float, wall_ms: float) -> None:
        """Record the times of one run of a part."""
        self.cpu_ms.setdefault(part, []).append(cpu_ms)
        self.wall_ms.setdefault(part, []).append(wall_ms)

    def summary(self, peak_gflops: float) -> dict[str, Any]:
        """The row's fields of the JSON output.

        Args:
          peak_gflops: 10^9 FLOPs a second that the machine reaches in a matrix product.
        """
        cpu, wall = statistics.median(self.cpu_ms[STEP]), statistics.median(self.wall_ms[STEP])
        found: dict[str, Any] = {
            "row": self.row,
            "parameters": self.parameters,
            "cpu_ms": round(cpu, 1),
            "wall_ms": round(wall, 1),
        }
        found |= self._parts()
        if self.tokens:
            found["tokens_per_second"] = round(1e3 * self.tokens / wall, 1)
            found["tokens_per_cpu_second"] = round(1e3 * self.tokens / cpu, 1)
            found["cache_bytes_per_token"] = round(self.cache_bytes / self.tokens, 1)
        if self.flops is not None:
            gflops = 1e-6 * self.flops / wall
            found["gflops"] = round(gflops, 2)
            found["share_of_peak"] = round(gflops / peak_gflops, 4)
        return found

    def _parts(self) -> dict[str, float]:
        """CPU time of each part without the parts before it; empty if not measured."""
        if set(self.cpu_ms) != set(PARTS):
            return {}
        forward, backward, step = (statistics.median(self.cpu_ms[part]) for part in PARTS)
        return {
            "forward_ms": round(forward, 1),
            "backward_ms": round(backward - forward, 1),
            "optimizer_ms": round(step - backward, 1),
        }


def measure(
    rows: Sequence[str], setting: Setting, steps: int, parts: Sequence[str] = (STEP,)
) -> list[Result]:
    """Run `steps` steps of every row, in turns.

    Args:
      rows: names of `setting.ROWS`.
      setting: the options that all rows share.
      steps: measured steps of each row, after one warm-up step.
      parts: parts of a step to measure, `PARTS` for all.

    Returns:
      One result for each row, in the order given.

    Raises:
      UserError: an unknown row, or numbers out of range.
    """
    check_steps(steps)
    setting.check(rows)
    programs = [Program(layers()[row], setting) for row in rows]
    results = [
        _unmeasured(row, program, setting) for row, program in zip(rows, programs, strict=True)
    ]
    turns = [*zip(programs, results, strict=True)]
    for step in range(steps + 1):
        random.Random(step).shuffle(turns)  # so a row's after-effects hit another row each time
        for program, result in turns:
            for part in parts:
                cpu, wall = _timed(functools.partial(program.run, part))
                if step:
                    result.add(part, cpu, wall)
    for program in programs:
        program.close()
    return results


def check_steps(steps: int) -> None:
    """Raise a UserError unless at least one step is measured."""
    if steps < 1:
        raise UserError(f"--steps is {steps}; at least one step must be measured")


def _unmeasured(row: str, program: Program, setting: Setting) -> Result:
    size = setting.size
    tokens = size.batch * size.targets_length if setting.mode in DECODING else 0
    counted = flops(layers()[row], setting)
    return Result(row, program.parameters, counted, tokens, program.cache_bytes)


def _timed(action: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return 1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - wall)
