"""Counts the stops that `model_dir` makes in `train`, and a text makes in `predict --input`.

A stop is the value's entry into another file of the package: a call of a function there, with the
value among its arguments, when the call before it with the value was of another file. The value is
the string or a path equal to it; a `Request`, `ModelFolder` or `TrainingRun` that holds it counts
as the value. The text is followed as the path of its file, then as its line. Only the main thread
is traced, so the count is the same every time.

    python tests/checks/trips.py [--stops]

trains the smallest model on an embedded task and decodes one line with it, in one process, and
prints both counts; --stops prints every stop. The script runs on the first house (302abbb) too:
copy it there and run it with the checkout's own Python.

               302abbb             now
    train      47 in 17 files      30 in 15 files
    predict     8 in  5 files       5 in  5 files
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import inspect
import io
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any

TASK = "synthesizer_verse_spans_v001"
LINE = "synthesizer trips: a line that nothing else says"
SMALLEST = ("d_model = 8", "num_layers = 1", "d_ff = 11", "num_heads = 2", "d_kv = 3")
HOLDERS = ("Request", "ModelFolder", "TrainingRun")


class Trip:
    """The stops of a value, in their order.

    Args:
      forms: what counts as the value: texts that are compared with arguments.
      root: folder of the package; calls elsewhere count for nothing.
    """

    def __init__(self, forms: Sequence[str], root: pathlib.Path):
        self._forms = frozenset(forms)
        self._root = str(root) + os.sep
        self._names: dict[CodeType, tuple[str, ...]] = {}
        self._resumable: list[FrameType] = []
        self.stops: list[str] = []

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Follows the value inside."""
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._resumable.clear()

    def _profile(self, frame: FrameType, event: str, unused: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(self._root):
            return
        names = self._names.get(code)
        if names is None:
            names = self._names[code] = _arguments(code)
        if any(self._holds(frame.f_locals.get(name)) for name in names):
            self._enter(frame)

    def _enter(self, frame: FrameType) -> None:
        if frame.f_code.co_flags & inspect.CO_GENERATOR:
            if any(known is frame for known in self._resumable):
                return  # not a call: a generator is resumed
            self._resumable.append(frame)
        file = frame.f_code.co_filename.removeprefix(self._root)
        if not self.stops or self.stops[-1] != file:
            self.stops.append(file)

    def _holds(self, argument: Any) -> bool:
        if self._is_value(argument):
            return True
        if type(argument).__name__ in HOLDERS:
            return any(self._holds(field) for field in vars(argument).values())
        if isinstance(argument, dict | list | tuple):  # of **keywords and *arguments
            fields = argument.values() if isinstance(argument, dict) else argument
            return any(self._is_value(field) for field in fields)
        return False

    def _is_value(self, argument: Any) -> bool:
        return isinstance(argument, str | pathlib.PurePath) and str(argument) in self._forms


def _arguments(code: CodeType) -> tuple[str, ...]:
    """Names of a function's parameters."""
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_varnames[:count]


def _train(folder: pathlib.Path) -> list[str]:
    typed = ["train", "--model_dir", str(folder / "model"), "--task", TASK, "--steps", "2"]
    typed += ["--synthesizer", "rv", "--size", "tiny", "--run", "demo_pretrain"]
    typed += ["--batch_size", "2", "--vocabulary", "bytes"]
    return typed + [part for binding in SMALLEST for part in ("--gin_param", binding)]


def _predict(folder: pathlib.Path) -> list[str]:
    (folder / "in.txt").write_text(LINE + "\n", "utf-8")
    typed = ["predict", "--model_dir", str(folder / "model"), "--input", str(folder / "in.txt")]
    return [*typed, "--output", str(folder / "out.txt"), "--batch_size", "1"]


def _follow(main: Callable[[list[str]], int], typed: list[str], trip: Trip) -> Trip:
    """Runs a command while its value is followed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), trip.followed():
        status = main(typed)
    if status:
        raise SystemExit(f"{' '.join(typed)}: status {status}: {said.getvalue()}")
    return trip


def _main_of_package() -> tuple[Callable[[list[str]], int], pathlib.Path]:
    import mtf_synthesizer

    root = pathlib.Path(mtf_synthesizer.__file__).parent
    if (root / "cli.py").exists():  # the first house
        from mtf_synthesizer import cli

        return cli.main, root  # type: ignore[attr-defined]
    from mtf_synthesizer.cli import main

    return main.main, root


def main() -> None:
    """Prints both counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stops", action="store_true", help="print every stop")
    shows_stops = parser.parse_args().stops
    command, root = _main_of_package()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        trips = {
            "model_dir through train": _follow(
                command, _train(folder), Trip([str(folder / "model")], root)
            ),
            "a text through predict --input": _follow(
                command, _predict(folder), Trip([str(folder / "in.txt"), LINE], root)
            ),
        }
    for title, trip in trips.items():
        files = collections.Counter(trip.stops)
        print(f"{title}: {len(trip.stops)} stops in {len(files)} files")
        if shows_stops:
            print("".join(f"  {file}\n" for file in trip.stops), end="")


if __name__ == "__main__":
    main()
