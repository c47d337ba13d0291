"""What a machine that is taken away does to a run: it saves a checkpoint and ends."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on


class Terminated(Exception):
    """A run ended early because it was asked to; what it did is saved."""


@contextlib.contextmanager
def noticed() -> Iterator[Callable[[], bool]]:
    """Inside, SIGTERM does not end the process; gives a function that says whether it came.

    Only in the main thread: Python allows handlers nowhere else.
    """
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return

    def notice(number: int, frame: FrameType | None) -> None:
        del number, frame
        came.set()

    before = signal.signal(signal.SIGTERM, notice)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
