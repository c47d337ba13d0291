"""Kills a pipeline of real commands again and again, and checks that nothing is lost.

The commands are those of a user: pretrain, fine-tune, evaluate, predict and submit, on the embedded
benchmark with a small model. Each is ended by `kill -9` at random moments, of trainings some while
a checkpoint is being written, and started again as it was. After each kill everything that was
there before must still be there, whole; the losses of both trainings must in the end be, digit by
digit, those of trainings that nobody stopped. Prints a line for each kill; ends with status 1 if
anything is wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from mtf_synthesizer.runtime import loading

loading.load_tensorflow(verbose=False)

from soak_checks import (  # noqa: E402
    COMPLETE,
    EXAMPLES,
    FINETUNE,
    PRETRAIN,
    SPANS,
    VERSES,
    Folder,
    Violation,
    losses,
)

_RESUMES = re.compile(r"resumes after step (\d+)")
_STEP = re.compile(r"\d+")
_EVERY = 7  # steps between checkpoints


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of the pipeline.

    Attributes:
      name: of the command, and of the folder or file that it makes.
      arguments: after `mtf_synthesizer`.
    """

    name: str
    arguments: tuple[str, ...]

    @property
    def trains(self) -> bool:
        """Whether it writes checkpoints."""
        return self.arguments[0] == "train"


def pipeline(folder: pathlib.Path, steps: int) -> list[Command]:
    """The commands, in their order."""
    small = ("--batch_size", "8", "--steps", str(steps), "--summary_steps", "1")
    small += ("--gin_param", f"save_checkpoints_steps = {_EVERY}")
    small += ("--gin_param", "dropout_rate = 0.1", "--no_attention_summaries")
    model = ("--synthesizer", "rv", "--size", "tiny", "--run", "demo_pretrain", "--task", SPANS)
    start = ("--init_checkpoint", f"{folder / PRETRAIN}", "--run", "demo_finetune")
    start += ("--task", VERSES)
    trained = ("--model_dir", f"{folder / FINETUNE}", "--examples", str(EXAMPLES))
    short = ("--gin_param", "Bitransformer.decode.max_decode_length = 5")
    predictions, submission = f"{folder / 'predictions'}", f"{folder / 'submission.zip'}"
    made = {
        PRETRAIN: ("train", "--model_dir", f"{folder / PRETRAIN}", *model, *small),
        FINETUNE: ("train", "--model_dir", f"{folder / FINETUNE}", *start, *small),
        "evaluate": ("evaluate", *trained, "--task", VERSES, *short),
        "predict": ("predict", *trained[:2], "--benchmark", "embedded", *short)
        + ("--batch_size", "256", "--output", predictions),
        "submit": ("submit", "--benchmark", "embedded", "--predictions", predictions)
        + ("--invalid", "testament=old", "--invalid", "same_verse=same")
        + ("--output", submission, "--overwrite"),  # of a zip that was finished when killed
    }
    return [Command(name, arguments) for name, arguments in made.items()]


class Attempt:
    """A command under way, in a process group of its own.

    Args:
      command: what is run.
      log: the file for what it says.
      environment: of the process.
    """

    def __init__(self, command: Command, log: pathlib.Path, environment: dict[str, str]):
        self.began = time.monotonic()
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mtf_synthesizer", *command.arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def wait(self, seconds: float | None) -> bool:
        """Whether it ended within that time, by itself and well.

        Raises:
          Violation: it failed.
        """
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if status:
            raise Violation(f"exit status {status}: {self.said()}")
        return True

    def wait_until(self, happened: Callable[[], bool]) -> bool:
        """As `wait`, but no longer than until something has happened."""
        while not happened():
            if self.wait(0.0005):
                return True
        return False

    def kill(self) -> float:
        """Ends it as a power failure would; the seconds that it ran."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return time.monotonic() - self.began

    def said(self) -> str:
        return self._log.read_text("utf-8", errors="replace")


class Soak:
    """Runs pipelines until all kills are done.

    Args:
      folder: of everything.
      kills: how many are to be done.
      seed: of the moments.
      steps: of each training.
      last: name of the last command of the pipelines.
    """

    def __init__(self, folder: pathlib.Path, kills: int, seed: int, steps: int, last: str):
        self._folder, self._kills, self._steps, self._last = folder, kills, steps, last
        self._random = random.Random(seed)
        self._done = 0
        self._environment = {"MTF_SYNTHESIZER_CACHE": str(folder / "vocabulary")} | os.environ

    def run(self) -> None:
        """Reports on standard output.

        Raises:
          Violation: something is wrong.
        """
        whole = Folder(self._folder / "never_stopped")
        seconds = {each.name: self._finish(each, whole) for each in self._commands(whole.path)}
        pipelines = 0
        while self._done < self._kills:
            pipelines += 1
            folder = Folder(self._folder / f"pipeline_{pipelines}")
            for command in self._commands(folder.path):
                kills = self._share(command)
                while kills and self._killed(command, folder, seconds[command.name]):
                    kills -= 1
                self._finish(command, folder)
                COMPLETE[command.name](folder.path, self._steps)
            self._compare(folder.path, whole.path)
        print(f"{self._done} kills in {pipelines} pipelines: nothing lost, nothing done twice")

    def _commands(self, folder: pathlib.Path) -> Iterator[Command]:
        for command in pipeline(folder, self._steps):
            yield command
            if command.name == self._last:
                return

    def _share(self, command: Command) -> int:
        """How often a command is to be killed: trainings most often, as they take longest."""
        left = self._kills - self._done
        return min(left, -(-self._kills * (3 if command.trains else 2) // 12))

    def _attempt(self, command: Command, folder: pathlib.Path) -> Attempt:
        folder.mkdir(parents=True, exist_ok=True)
        return Attempt(command, folder / f"{command.name}.log", self._environment)

    def _finish(self, command: Command, folder: Folder) -> float:
        """Lets a command go on to its end; the seconds that it took."""
        attempt, before = self._attempt(command, folder.path), folder.step(command.name)
        attempt.wait(None)
        seconds = time.monotonic() - attempt.began
        self._report(attempt, f"done: {command.name}, {seconds:.1f} s", command, folder, before)
        return seconds

    def _killed(self, command: Command, folder: Folder, seconds: float) -> bool:
        """Starts a command and kills it within that time, unless it comes to its end before."""
        attempt, before = self._attempt(command, folder.path), folder.step(command.name)
        if self._wait(attempt, command, folder, seconds):
            return False
        ran = attempt.kill()
        self._done += 1
        what = f"kill {self._done}: {command.name}, {ran:.2f} s after its start"
        self._report(attempt, what, command, folder, before)
        return True

    def _wait(self, attempt: Attempt, command: Command, folder: Folder, seconds: float) -> bool:
        """Until the moment of a kill; whether the command ended before."""
        model, saved = folder.path / command.name, folder.step(command.name)
        kind = self._done % 3 if command.trains else 0
        if kind == 1:
            checkpoint = saved + self._random.randint(1, 3 * _EVERY)
            ended = attempt.wait_until(lambda: _is_saving(model, checkpoint))
            return ended or attempt.wait(self._random.uniform(0.0, 0.01))
        if kind == 2:
            step = saved + self._random.randint(1, 2 * _EVERY)
            ended = attempt.wait_until(lambda: max(_seen(model), default=0) >= step)
            return ended or attempt.wait(self._random.uniform(0.0, 0.2))
        return attempt.wait(self._random.uniform(0.0, seconds))

    def _report(
        self, attempt: Attempt, what: str, command: Command, folder: Folder, before: int
    ) -> None:
        resumed = _RESUMES.search(attempt.said())
        if resumed and int(resumed[1]) != before:
            raise Violation(f"resumed after step {resumed[1]}, but the checkpoint is of {before}")
        found = folder.check()
        step = f"; saved: step {folder.step(command.name)}" if command.trains else ""
        print(f"{what}{step}; {found}", flush=True)

    def _compare(self, folder: pathlib.Path, reference: pathlib.Path) -> None:
        for command in self._commands(folder):
            if not command.trains:
                continue
            killed, whole = losses(folder / command.name), losses(reference / command.name)
            other = [step for step in whole if killed.get(step) != whole[step]]
            if other or len(killed) != len(whole):
                raise Violation(f"losses of {command.name} differ first at step {other[:1]}")
            print(f"{command.name}: {len(whole)} losses as without a kill, digit by digit")


def _is_saving(model: pathlib.Path, step: int) -> bool:
    """Whether TensorFlow writes a checkpoint of a step, or of one after it."""
    return any(int(_STEP.findall(path.name)[0]) >= step for path in model.glob("model.ckpt-*_temp"))


def _seen(model: pathlib.Path) -> dict[int, float]:
    """The losses so far, unless the file is just being replaced."""
    try:
        return losses(model)
    except (OSError, ValueError):
        return {}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--seed", type=int, help="of the moments (default: another each time)")
    parser.add_argument("--steps", type=int, default=80, help="of each training")
    parser.add_argument("--last", default="submit", choices=COMPLETE, help="command to end with")
    parser.add_argument("--folder", type=pathlib.Path, help="kept (default: one that is removed)")
    args = parser.parse_args(arguments)
    seed = random.randrange(10**6) if args.seed is None else args.seed
    print(f"--kills {args.kills} --seed {seed} --steps {args.steps}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or pathlib.Path(temporary)).absolute()
        try:
            Soak(folder, args.kills, seed, args.steps, args.last).run()
        except Violation as violation:
            print(f"VIOLATION: {violation}", flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
