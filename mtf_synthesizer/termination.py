"""What a machine that is taken away does to a run: it saves a checkpoint and ends."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on
_NO_STEP = "asked to end while no step was under way: there was nothing to save"


class Terminated(BaseException):
    """A run ended because it was asked to; what it did is saved.

    As KeyboardInterrupt no Exception, so that nothing that deals with errors on the way holds it.
    """


class Notice:
    """Whether SIGTERM came, and what happens when it comes.

    Until the first step there is nothing to save: `Terminated` is raised where the program is, or
    once the call of TensorFlow that it is in is over: Python waits for that.
    Afterwards it is only noted, for the training to end after the step that is under way.

    Args:
      said: the sentence of `Terminated`.
    """

    def __init__(self, said: str = _NO_STEP) -> None:
        self._said = said
        self._came = False
        self._in_steps = False

    @property
    def came(self) -> bool:
        """Whether the signal has come."""
        return self._came

    def steps_begin(self) -> None:
        """From now on there is something to save first."""
        self._in_steps = True

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal."""
        del number, frame
        self._came = True
        if not self._in_steps:
            raise Terminated(self._said)


@contextlib.contextmanager
def noticed(said: str = _NO_STEP) -> Iterator[Notice]:
    """Inside, SIGTERM does not end the process as it is, but as `Notice` says.

    One inside another, as a training in a command, has the signal to itself until it is left.
    Only in the main thread: Python allows handlers nowhere else.
    """
    notice = Notice(said)
    if threading.current_thread() is not threading.main_thread():
        yield notice
        return
    before = signal.signal(signal.SIGTERM, notice.handle)
    try:
        yield notice
    finally:
        signal.signal(signal.SIGTERM, before)
