"""Processes that measure: the precision of products, and T5's own program, belong to a process.

A process builds its rows and then waits. It runs a step only when it is asked to, so that rows of
several processes take turns. Requests and answers are lines of JSON. A process that crashes is
named, and nothing is printed in place of its figures.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.studies.bench.lineup import HUGGINGFACE, BenchEntry

HUGGINGFACE_PYTHON = ".huggingface/bin/python"
_COMMAND = [sys.executable, "-m", "mtf_synthesizer.studies.bench.worker"]
_HUGGINGFACE_WORKER = pathlib.Path(__file__).with_name("huggingface_worker.py")


class Process:
    """A process of one program and precision.

    Args:
      command: starts the process.
      entries: entries to measure, with one program and precision.
      verbose: whether its messages are shown.
    """

    def __init__(self, command: Sequence[str], entries: Sequence[BenchEntry], verbose: bool):
        self._rows = ", ".join(entry.row for entry in entries)
        self._precision = entries[0].precision
        self._messages = None if verbose else tempfile.TemporaryFile("w+")  # noqa: SIM115 (close)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            text=True,
            env=os.environ | {precision.VARIABLE: self._precision},
        )

    def ask(self, action: str, **arguments: Any) -> Any:
        """Have the process do something; return its answer.

        Raises:
          UserError: the process ended, or reports an error.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        line = ""
        try:
            print(json.dumps({action: arguments}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not line:
            raise UserError(self._ended())
        answer = json.loads(line)
        if "error" in answer:
            raise UserError(f"{self._rows} in {self._precision}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()
        if self._messages is not None:
            self._messages.close()

    def _ended(self) -> str:
        status = self._process.wait()
        lines = []
        if self._messages is not None:
            self._messages.seek(0)
            lines = self._messages.read().strip().splitlines()
        last = lines[-1] if lines else "no message"
        return (
            f"{self._rows}: the process that measures in {self._precision} ended with status "
            f"{status} ({last}). Status -9 means out of memory: choose a smaller --size, or fewer "
            "--rows"
        )


def check_huggingface(python: str) -> None:
    """Raise a UserError unless the Python of transformers exists."""
    if not os.access(python, os.X_OK):
        raise UserError(
            f"--huggingface_python {python}: no such program. Run `make .huggingface/.installed` "
            "in a checkout, or name a Python with PyTorch and transformers"
        )


class Processes:
    """The processes of a run; leaving the context ends them.

    Args:
      entries: all entries of the run.
      huggingface_python: Python with PyTorch and transformers.
      verbose: whether messages of the processes are shown.
    """

    def __init__(
        self,
        entries: Sequence[BenchEntry],
        huggingface_python: str = HUGGINGFACE_PYTHON,
        verbose: bool = False,
    ):
        self._entries, self._verbose = entries, verbose
        self._commands = {
            HUGGINGFACE: [huggingface_python, str(_HUGGINGFACE_WORKER)],
        }
        self._running: dict[tuple[str, str], Process] = {}

    def __enter__(self) -> Processes:
        for key in dict.fromkeys(entry.process for entry in self._entries):
            own = [entry for entry in self._entries if entry.process == key]
            self._running[key] = Process(self._commands.get(key[0], _COMMAND), own, self._verbose)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.close()

    def of(self, entry: BenchEntry) -> Process:
        """The process of an entry."""
        return self._running[entry.process]

    def machine(self, threads: int) -> dict[str, Any]:
        """The description of the machine, with versions of all processes and peaks of all modes."""
        answers: dict[tuple[str, str], Mapping[str, Any]] = {}
        peaks: dict[str, float] = {}
        for key, process in self._running.items():
            answers[key] = process.ask("machine")
            program, mode = key
            if program != HUGGINGFACE and mode not in peaks:
                peaks[mode] = process.ask("peak", threads=threads)
        described: dict[str, Any] = {}
        for (program, _), answer in answers.items():
            described = (
                {**answer, **described} if program != HUGGINGFACE else {**described, **answer}
            )
        return described | {"peaks": peaks, "peak_gflops": max(peaks.values())}
