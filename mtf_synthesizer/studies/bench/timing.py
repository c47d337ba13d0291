"""The time of steps, with all rows side by side.

The rows take turns step by step, in another order each time and across processes, so other load on
the machine affects all rows alike. CPU time is reported beside wall time: on a shared machine CPU
time is steadier.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mtf_synthesizer.studies.bench.lineup import BenchEntry
from mtf_synthesizer.studies.bench.processes import Processes
from mtf_synthesizer.studies.bench.setting import STEP

# The parts of a training step in their order; each run of a part includes the parts before it.
PARTS = ("forward", "backward", STEP)


@dataclasses.dataclass
class Result:
    """Measurements of one row.

    Attributes:
      row: name of the row.
      precision: precision of its products.
      parameters: number of trainable parameters.
      flops: FLOPs of a step; None if not counted.
      tokens: tokens that a step decodes; 0 outside decoding.
      cache_bytes: bytes that self-attention keeps of these tokens.
      operations: type of TensorFlow's operations -> milliseconds in one step; empty if not traced.
      cpu_ms: part -> CPU time of each run.
      wall_ms: part -> wall time of each run.
    """

    row: str
    precision: str
    parameters: int
    flops: int | None = None
    tokens: int = 0
    cache_bytes: int = 0
    operations: dict[str, float] = dataclasses.field(default_factory=dict)
    cpu_ms: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    wall_ms: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    def add(self, part: str, cpu_ms: float, wall_ms: float) -> None:
        """Record the times of one run of a part."""
        self.cpu_ms.setdefault(part, []).append(cpu_ms)
        self.wall_ms.setdefault(part, []).append(wall_ms)

    def summary(self, peaks: Mapping[str, float]) -> dict[str, Any]:
        """The row's fields of the JSON output.

        Args:
          peaks: precision -> 10^9 FLOPs a second that the machine reaches in a matrix product.
        """
        cpu, wall = statistics.median(self.cpu_ms[STEP]), statistics.median(self.wall_ms[STEP])
        summary: dict[str, Any] = {
            "row": self.row,
            "matmul_precision": self.precision,
            "parameters": self.parameters,
            "cpu_ms": round(cpu, 1),
            "wall_ms": round(wall, 1),
        }
        summary |= self._parts()
        if self.tokens:
            summary["tokens_per_second"] = round(1e3 * self.tokens / wall, 1)
            summary["tokens_per_cpu_second"] = round(1e3 * self.tokens / cpu, 1)
            summary["cache_bytes_per_token"] = round(self.cache_bytes / self.tokens, 1)
        if self.flops is not None:
            gflops = 1e-6 * self.flops / wall
            summary["gflops"] = round(gflops, 2)
            summary["share_of_peak"] = round(gflops / peaks[self.precision], 4)
            summary["products_at_peak_ms"] = round(1e-6 * self.flops / peaks[self.precision], 1)
        if self.operations:
            summary["operations"] = self.operations
        return summary

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
    processes: Processes,
    entries: Sequence[BenchEntry],
    steps: int,
    parts: Sequence[str] = (STEP,),
    operations: bool = False,
) -> list[Result]:
    """Run `steps` steps of every entry, in turns.

    Args:
      processes: processes of the entries.
      entries: rows with their precisions and programs.
      steps: measured steps of each, after one warm-up step.
      parts: parts of a step to measure, `PARTS` for all.
      operations: whether one more step is traced, for the time of its operations.

    Returns:
      One result for each entry, in the order given.

    Raises:
      UserError: a process ended.
    """
    turns = []
    for entry in entries:
        built = processes.of(entry).ask(
            "build", row=entry.row, setting=dataclasses.asdict(entry.setting)
        )
        number = built.pop("number")
        turns.append((entry, number, Result(entry.row, entry.precision, **built)))
    results = [result for _, _, result in turns]
    for step in range(steps + 1):
        random.Random(step).shuffle(turns)  # so a row's after-effects hit another row each time
        for entry, number, result in turns:
            for part in parts:
                times = processes.of(entry).ask("run", number=number, part=part)
                if step:
                    result.add(part, **times)
    for entry, number, result in turns if operations else ():
        result.operations = processes.of(entry).ask("operations", number=number)
    for process in {id(worker): worker for worker in map(processes.of, entries)}.values():
        process.ask("clear")
    return results
