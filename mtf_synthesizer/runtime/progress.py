"""A line of progress on the terminal, with an estimate of the time left."""

import sys
import time

import tqdm

# Without a terminal tqdm draws no bar; an occasional line shows that the run is alive.
SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """A bar with a note, speed and time left; without a terminal, occasional lines.

    The time before the first `update` does not count, or the first estimates would be many times
    too long: the first step prepares the graph, and passes over batches that a resumed run has
    seen.

    Args:
      title: name of the work.
      start: number of units that an earlier attempt has done.
      total: number of units.
      shown: whether anything is shown.
      unit: name of a unit.
    """

    def __init__(self, title: str, start: int, total: int, shown: bool = True, unit: str = "step"):
        self._title, self._total, self._shown, self._unit = title, total, shown, unit
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm.tqdm(
            total=total,
            initial=start,
            desc=title,
            unit=unit,
            disable=not (shown and self._terminal),
            dynamic_ncols=True,
            smoothing=0.05,
        )
        self._last_line = time.monotonic()
        self._first: int | None = None  # the units done when the clock starts
        self._since = 0.0
        self._note = ""

    def note(self, text: str) -> None:
        """Show a text beside the note from now on, and without a terminal as a line of its own."""
        self._note = f", {text}"
        if self._shown and not self._terminal:
            print(f"{self._title}: {text}", file=sys.stderr, flush=True)

    def skip(self, seconds: float) -> None:
        """Leave a pause out of the speed."""
        self._since += seconds

    def update(self, done: int, note: str = "") -> None:
        """Move the bar to `done` units, and show a note beside it."""
        now = time.monotonic()
        if self._first is None:
            self._start(done, now)
        note += self._note
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n if self._terminal else 0)
        due = now - self._last_line >= SECONDS_BETWEEN_LINES or done >= self._total
        if self._shown and not self._terminal and due:
            self._last_line = now
            print(self._line(done, note, self._speed(done, now)), file=sys.stderr)
            sys.stderr.flush()

    def _start(self, done: int, now: float) -> None:
        """Start the clock, of the bar too."""
        self._first, self._since = done, now
        if not self._bar.disable:
            self._bar.n = self._bar.initial = self._bar.last_print_n = done
            self._bar.unpause()
            self._bar.refresh()

    def _speed(self, done: int, now: float) -> float | None:
        """Return the units per second since the first ones were done; None before others are."""
        assert self._first is not None
        passed = done - self._first
        return passed / (now - self._since) if passed and now > self._since else None

    def _line(self, done: int, note: str, per_second: float | None) -> str:
        parts = [f"{self._title}: {self._unit} {done}/{self._total}", *([note] if note else [])]
        if per_second is not None:
            left = _duration((self._total - done) / max(per_second, 1e-9))
            parts += [f"{per_second:.2f} {self._unit}s/s", f"{left} left"]
        return ", ".join(parts)

    def close(self) -> None:
        self._bar.close()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
