"""What a machine that is taken away does to a run: it saves a checkpoint and ends."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on


class Terminated(BaseException):
    """A run ended early because it was asked to; what it did is saved.

    As KeyboardInterrupt no Exception, so that nothing that deals with errors on the way holds it.
    """


class Notice:
    """Whether SIGTERM came, and what happens when it comes.

    Until the first step there is nothing to save: `Terminated` is raised where the program is.
    Afterwards it is only noted, for the training to end after the step that is under way.
    """

    def __init__(self) -> None:
        self._came = threading.Event()
        self._in_steps = False

    @property
    def came(self) -> bool:
        """Whether the signal has come."""
        return self._came.is_set()

    def steps_begin(self) -> None:
        """From now on there is something to save first."""
        self._in_steps = True

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal."""
        del number, frame
        self._came.set()
        if not self._in_steps:
            raise Terminated("asked to end before the first step: there was nothing to save")


@contextlib.contextmanager
def noticed() -> Iterator[Notice]:
    """Inside, SIGTERM does not end the process as it is, but as `Notice` says.

    Only in the main thread: Python allows handlers nowhere else.
    """
    notice = Notice()
    if threading.current_thread() is not threading.main_thread():
        yield notice
        return
    before = signal.signal(signal.SIGTERM, notice.handle)
    try:
        yield notice
    finally:
        signal.signal(signal.SIGTERM, before)
