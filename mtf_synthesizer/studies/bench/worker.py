"""The process that builds and runs rows of one precision, as `processes` asks it to."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.studies.bench.setting import DECODING, Setting


class Measurer:
    """Answers requests: an action with its arguments."""

    def __init__(self) -> None:
        self._programs: list[Any] = []

    def answer(self, request: dict[str, dict[str, Any]]) -> Any:
        """Do what is asked; return a JSON value."""
        [(action, arguments)] = request.items()
        actions: dict[str, Callable[..., Any]] = {
            "machine": self._machine,
            "peak": self._peak,
            "build": self._build,
            "run": self._run,
            "operations": self._operations,
            "clear": self._clear,
        }
        return actions[action](**arguments)

    def _machine(self) -> dict[str, Any]:
        from mtf_synthesizer.studies.bench import machine

        return machine.description()

    def _peak(self, threads: int) -> float:
        from mtf_synthesizer.studies.bench import machine

        return round(machine.peak_gflops(threads), 1)

    def _build(self, row: str, setting: dict[str, Any]) -> dict[str, Any]:
        """Build a row; its number is that of rows built before."""
        from mtf_synthesizer.studies.bench import program

        bench_setting = Setting.from_dict(setting)
        built = program.Program.of_row(row, bench_setting)
        self._programs.append(built)
        size = bench_setting.size
        return {
            "number": len(self._programs) - 1,
            "parameters": built.parameters,
            "flops": program.flops(row, bench_setting),
            "tokens": size.batch * size.targets_length if bench_setting.mode in DECODING else 0,
            "cache_bytes": built.cache_bytes,
        }

    def _run(self, number: int, part: str) -> dict[str, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        self._programs[number].run(part)
        return {
            "cpu_ms": 1e3 * (time.process_time() - cpu),
            "wall_ms": 1e3 * (time.perf_counter() - wall),
        }

    def _operations(self, number: int) -> dict[str, float]:
        return self._programs[number].operations()

    def _clear(self) -> None:
        for built in self._programs:
            built.close()
        self._programs = []


def _main() -> None:
    """Answer line by line until the input ends; only answers go to standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    precision.choose_from_environment()
    loading.load_tensorflow(verbose=False)
    measurer = Measurer()
    for line in sys.stdin:
        try:
            reply = {"answer": measurer.answer(json.loads(line))}
        except Exception as error:  # whatever it is, the other process names the row
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    _main()
