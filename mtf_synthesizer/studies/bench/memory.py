"""The memory of a row's steps, in a process of its own.

The high-water mark of resident memory is reset just before the first step, when graph and
variables are there and what building them has freed is given back; it is read after some steps.
The difference is what steps need beside parameters and optimizer state: activations, gradients,
and what TensorFlow's first runs leave behind.
"""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import json
import pathlib
import subprocess
import sys
from typing import TYPE_CHECKING

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.studies.bench.setting import Setting

if TYPE_CHECKING:
    from mtf_synthesizer.studies.bench.program import Program

# TensorFlow keeps what it has once taken, and takes more in the first steps than in later ones.
STEPS = 5


@dataclasses.dataclass(frozen=True)
class Memory:
    """Resident memory of a process.

    Attributes:
      peak_rss_mib: the most during the steps.
      base_rss_mib: just before the first step.
    """

    peak_rss_mib: float
    base_rss_mib: float


def of_row(row: str, setting: Setting) -> Memory:
    """Measures some steps of a row in a fresh process.

    Args:
      row: one of `benchmark_setting.ROWS`.
      setting: shape, mode and options.

    Raises:
      UserError: the process did not end well.
    """
    asked = json.dumps({"row": row, "setting": dataclasses.asdict(setting)})
    process = subprocess.run(
        [sys.executable, "-m", __name__],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        said = process.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(
            f"{row}: the process that measures memory ended with status {process.returncode} "
            f"({said[0]}; -9 is a lack of memory): take a smaller --size, or --no_memory"
        )
    return Memory(**json.loads(process.stdout.splitlines()[-1]))


def of_steps(program: Program) -> Memory:
    """Measures some steps in this process."""
    gc.collect()
    _give_back()
    _reset_peak()
    base = _status_mib("VmRSS")
    for _ in range(STEPS):
        program.run()
    # The kernel counts exactly only now and then: a peak may be told a little below the base.
    return Memory(max(_status_mib("VmHWM"), base), base)


def _give_back() -> None:
    """Returns freed memory to the system, so that the base holds only what is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _reset_peak() -> None:
    """Sets the high-water mark to what is resident now.

    Where that is not allowed the mark is that of the whole process, as getrusage tells it.
    """
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _status_mib(key: str) -> float:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith(f"{key}:"))
    return round(int(found.split()[1]) / 1024, 1)


def _main() -> None:
    """What the fresh process does: reads a row and a setting, prints its memory."""
    asked = json.loads(sys.stdin.read())
    loading.load_tensorflow(verbose=False)
    from mtf_synthesizer.studies.bench.program import Program
    from mtf_synthesizer.studies.bench.rows import layers

    program = Program(layers()[asked["row"]], Setting.from_dict(asked["setting"]))
    print(json.dumps(dataclasses.asdict(of_steps(program))))


if __name__ == "__main__":
    _main()
