"""A line of progress on the terminal, with an estimate of the time left."""

import sys
import time

import tqdm

# Without a terminal tqdm draws no bar; an occasional line shows that the run is alive.
SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """A bar with loss, steps per second and time left; without a terminal, occasional lines."""

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
        self._note = ""

    def note(self, text: str) -> None:
        """Show a text beside the loss from now on, and without a terminal as a line of its own."""
        self._note = f", {text}"
        if self._shown and not self._terminal:
            print(f"{self._title}: {text}", file=sys.stderr, flush=True)

    def update(self, step: int, loss: float, steps_per_second: float) -> None:
        """Move the bar to `step`."""
        self._bar.set_postfix_str(f"loss {loss:.3f}{self._note}", refresh=False)
        self._bar.update(step - self._bar.n if self._terminal else 0)
        now = time.monotonic()
        due = now - self._last_line >= SECONDS_BETWEEN_LINES or step >= self._total
        if self._shown and not self._terminal and due:
            self._last_line = now
            left = (self._total - step) / max(steps_per_second, 1e-9)
            print(
                f"{self._title}: step {step}/{self._total}, loss {loss:.3f}{self._note}, "
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
