"""Display of a training run: a progress bar and a file of losses."""

import math
import time
from typing import Any

from mtf_synthesizer.model_folder import loss_log
from mtf_synthesizer.runtime import progress, signals


class Pauses:
    """Pauses of a training, which its display shows and its speed leaves out."""

    def __init__(self) -> None:
        self._seconds, self._text = 0.0, ""

    def pause(self, seconds: float, text: str) -> None:
        """Record a pause of some seconds, and a text about it."""
        self._seconds, self._text = self._seconds + seconds, text

    def take(self) -> tuple[float, str]:
        """Return the seconds and the text since the last call."""
        taken = (self._seconds, self._text)
        self._seconds, self._text = 0.0, ""
        return taken


def training_hook(
    log: loss_log.LossLog,
    title: str,
    total: int,
    every: int,
    shown: bool,
    loss: Any,
    notice: signals.Notice | None = None,
    pauses: Pauses | None = None,
) -> Any:
    """Return a session hook that updates the progress bar and appends to the loss file.

    The hook ends the training after the step in which `notice` came. An infinite loss raises the
    error that TensorFlow raises for NaN.

    The class is local because its base class needs TensorFlow.
    """
    import tensorflow.compat.v1 as tf

    signalled = notice or signals.Notice()
    paused = pauses or Pauses()

    class ProgressHook(tf.train.SessionRunHook):
        def begin(self) -> None:
            self._step = tf.train.get_global_step()

        def after_create_session(self, session: Any, coord: Any) -> None:
            start = int(session.run(self._step))
            log.rewind(start)
            self._bar = progress.Progress(title, start, total, shown)
            self._start_interval(start)

        def _start_interval(self, step: int) -> None:
            self._losses: list[float] = []
            self._from, self._since = step, time.monotonic()

        def before_run(self, run_context: Any) -> Any:
            signalled.steps_begin()
            self._after_pause()
            return tf.train.SessionRunArgs([self._step, loss])

        def _after_pause(self) -> None:
            seconds, text = paused.take()
            self._since += seconds
            self._bar.skip(seconds)
            if text:
                self._bar.note(text)

        def after_run(self, run_context: Any, run_values: Any) -> None:
            # The step may be read before or after this run increments it, so runs are counted.
            value = float(run_values.results[1])
            if not math.isfinite(value):
                raise tf.train.NanLossDuringTrainingError
            self._losses.append(value)
            log.step = step = self._from + len(self._losses)
            seconds = time.monotonic() - self._since
            speed = len(self._losses) / max(seconds, 1e-9)
            mean = sum(self._losses) / len(self._losses)  # same number in file and on screen
            self._bar.update(step, f"loss {mean:.3f}")
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
            self._after_pause()
            self._bar.close()

    return ProgressHook()
