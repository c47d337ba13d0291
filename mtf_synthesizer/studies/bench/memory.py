"""The memory of a row's steps, measured in a separate process.

The high-water mark of resident memory is reset just before the first step. By then the graph and
the variables exist, and freed memory has been returned to the system. The mark is read after some
steps. The difference is the memory of the steps beside parameters and optimizer state:
activations, gradients, and memory that TensorFlow keeps after its first runs.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import json
import os
import pathlib
import subprocess
import sys
from typing import TYPE_CHECKING

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.studies.bench.lineup import BenchEntry
from mtf_synthesizer.studies.bench.setting import Setting

if TYPE_CHECKING:
    from mtf_synthesizer.studies.bench.program import Program

# TensorFlow keeps allocated memory and allocates most in the first steps, so few steps suffice.
STEPS = 5


@dataclasses.dataclass(frozen=True)
class Memory:
    """Resident memory of a process.

    Attributes:
      peak_rss_mib: the maximum during the steps.
      base_rss_mib: just before the first step.
    """

    peak_rss_mib: float
    base_rss_mib: float


def of_entry(entry: BenchEntry) -> Memory:
    """Measure some steps of a row in a new process.

    Raises:
      UserError: the process failed.
    """
    request = json.dumps({"row": entry.row, "setting": dataclasses.asdict(entry.setting)})
    process = subprocess.run(
        [sys.executable, "-m", __name__],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {precision.VARIABLE: entry.precision},
    )
    if process.returncode:
        last_line = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"{entry.row}: the process that measures memory ended with status {process.returncode} "
            f"({last_line}). Status -9 means out of memory: choose a smaller --size, or pass "
            "--no_memory"
        )
    return Memory(**json.loads(process.stdout.splitlines()[-1]))


def of_steps(program: Program) -> Memory:
    """Measure some steps in this process."""
    gc.collect()
    _give_back()
    _reset_peak()
    base = _status_mib("VmRSS")
    for _ in range(STEPS):
        program.run()
    # The kernel updates its counters now and then, so a peak may read slightly below the base.
    return Memory(max(_status_mib("VmHWM"), base), base)


def _give_back() -> None:
    """Return freed memory to the system, so that the base counts only memory in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _reset_peak() -> None:
    """Set the high-water mark to the memory that is resident now.

    Where the system forbids a reset, the mark covers the whole process, as getrusage reports it.
    """
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _status_mib(key: str) -> float:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    entry = next(line for line in lines if line.startswith(f"{key}:"))
    return round(int(entry.split()[1]) / 1024, 1)


def _main() -> None:
    """BenchEntry point of the new process: read a row and a setting, print the memory."""
    request = json.loads(sys.stdin.read())
    precision.choose_from_environment()
    loading.load_tensorflow(verbose=False)
    from mtf_synthesizer.studies.bench.program import Program

    program = Program.of_row(request["row"], Setting.from_dict(request["setting"]))
    print(json.dumps(dataclasses.asdict(of_steps(program))))


if __name__ == "__main__":
    _main()
