"""What a user sees of a training run: a progress bar and a file of losses."""

import json
import math
import os
import sys
import time
from typing import Any

import tqdm

from mtf_synthesizer import json_text, paths, saving, termination

LOSS_FILE = "loss.jsonl"
# Without a terminal there is no bar; a line now and then shows that the run is alive.
SECONDS_BETWEEN_LINES = 30.0


class LossLog:
    """Mean losses of a run, kept in a file so that a resumed run has the whole curve.

    Each line of the file is a JSON object with step, loss (mean since the line before), seconds
    (of training since the line before) and steps_per_second.

    Attributes:
      path: of the file.
      step: the last one that was trained, written or not.
    """

    def __init__(self, model_dir: str | os.PathLike[str]):
        self.path = paths.of(model_dir) / LOSS_FILE
        self.step = 0

    def read(self) -> list[dict[str, float]]:
        """Every line, in the order of steps; half-written and damaged ones are left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().decode("utf-8", errors="replace").splitlines()
        return [row for line in lines if (row := _row(line)) is not None]

    def rewind(self, step: int) -> None:
        """Forgets what lies after a step: the run goes on from the checkpoint of that step."""
        self.step = step
        kept = [row for row in self.read() if row["step"] <= step]
        saving.write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def append(self, row: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _row(line: str) -> dict[str, float] | None:
    try:
        row = json_text.parse(line)
    except ValueError:
        return None
    whole = isinstance(row, dict) and {"step", "loss"} <= row.keys()
    return row if whole and all(isinstance(value, int | float) for value in row.values()) else None


class Progress:
    """A bar with loss, steps per second and time left; or lines where there is no terminal."""

    def __init__(self, title: str, start: int, total: int, shown: bool = True):
        self._title, self._total, self._shown = title, total, shown
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm.tqdm(
            total=total,
            initial=start,
            desc=title,
            unit="step",
            disable=not (shown and self._terminal),
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self._last_line = time.monotonic()

    def update(self, step: int, loss: float, steps_per_second: float) -> None:
        """Moves to `step`."""
        self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        self._bar.update(step - self._bar.n if self._terminal else 0)
        now = time.monotonic()
        due = now - self._last_line >= SECONDS_BETWEEN_LINES or step >= self._total
        if self._shown and not self._terminal and due:
            self._last_line = now
            left = (self._total - step) / max(steps_per_second, 1e-9)
            print(
                f"{self._title}: step {step}/{self._total}, loss {loss:.3f}, "
                f"{steps_per_second:.2f} steps/s, {_duration(left)} left",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        self._bar.close()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def training_hook(
    log: LossLog,
    title: str,
    total: int,
    every: int,
    shown: bool,
    loss: Any,
    notice: termination.Notice | None = None,
) -> Any:
    """A session hook that moves the bar each step and now and then writes to the loss file.

    It ends training after a step in which `notice` came, and with an error, as TensorFlow does of
    NaN, where the loss is infinite.

    A function and not a module-level class because its base class comes with TensorFlow.
    """
    import tensorflow.compat.v1 as tf

    signalled = notice or termination.Notice()

    class ProgressHook(tf.train.SessionRunHook):
        def begin(self) -> None:
            self._step = tf.train.get_global_step()

        def after_create_session(self, session: Any, coord: Any) -> None:
            start = int(session.run(self._step))
            log.rewind(start)
            self._bar = Progress(title, start, total, shown)
            self._start_interval(start)

        def _start_interval(self, step: int) -> None:
            self._losses: list[float] = []
            self._from, self._since = step, time.monotonic()

        def before_run(self, run_context: Any) -> Any:
            signalled.steps_begin()
            return tf.train.SessionRunArgs([self._step, loss])

        def after_run(self, run_context: Any, run_values: Any) -> None:
            # The step may be read before or after this run adds to it; counting is certain.
            value = float(run_values.results[1])
            if not math.isfinite(value):
                raise tf.train.NanLossDuringTrainingError
            self._losses.append(value)
            log.step = step = self._from + len(self._losses)
            seconds = time.monotonic() - self._since
            speed = len(self._losses) / max(seconds, 1e-9)
            mean = sum(self._losses) / len(self._losses)  # one number, in the file and on screen
            self._bar.update(step, mean, speed)
            if step % every == 0 or step >= total:
                log.append(
                    {
                        "step": step,
                        "loss": mean,
                        "seconds": seconds,
                        "steps_per_second": speed,
                    }
                )
                self._start_interval(step)
            if signalled.came:
                run_context.request_stop()

        def end(self, session: Any) -> None:
            self._bar.close()

    return ProgressHook()
