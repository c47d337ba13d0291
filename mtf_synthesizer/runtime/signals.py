"""SIGTERM, as a preempted machine sends it: the run saves a checkpoint and ends."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command resumes
_NO_STEP = "asked to end outside of a training step: nothing had to be saved"


class Terminated(BaseException):
    """A run that ended early on request; its progress is saved.

    Like KeyboardInterrupt not an Exception, so that handlers of errors do not catch it.
    """


def announced(sentence: object) -> str:
    """Return the line that the command line prints when SIGTERM ends a command."""
    return f"mtf_synthesizer: {sentence}; run the same command again to resume"


class Notice:
    """Handler of SIGTERM, and the record of whether the signal came.

    Before the first step nothing has to be saved. The previous handler runs, or `Terminated` is
    raised where the program stands. From the first step on the signal is only recorded, and the
    training ends after the current step.

    Args:
      before: the previous handler of the signal, as signal.getsignal returns it.
    """

    def __init__(self, before: Any = None) -> None:
        self._before = before
        self._came = False
        self._in_steps = False

    @property
    def came(self) -> bool:
        """True after the signal has come."""
        return self._came

    def steps_begin(self) -> None:
        """Only record the signal from now on: the run has progress to save."""
        self._in_steps = True

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        self._came = True
        if self._in_steps:
            return
        if callable(self._before):
            self._before(number, frame)
        else:
            raise Terminated("asked to end before the first step: nothing had to be saved")


@contextlib.contextmanager
def noticed() -> Iterator[Notice]:
    """Handle SIGTERM by a `Notice` inside; an ignored SIGTERM stays ignored."""
    notice = Notice(signal.getsignal(signal.SIGTERM))
    with _handled_by(notice.handle):
        yield notice


@contextlib.contextmanager
def ends_the_process(sentence: str = _NO_STEP) -> Iterator[None]:
    """End the process at once on SIGTERM inside, with a message and a status of its own.

    An ignored SIGTERM stays ignored.

    An exception would not do: TensorFlow aborts if an exception meets its C++ code. Python drops
    exceptions in callbacks of weak references, which imports have many of. Half-written files are
    left as after a kill, and every writer of this package is prepared for a kill.

    A running call of TensorFlow ends first, because Python waits for it.
    """
    # A duplicate, because `quiet` holds back the original stream while TensorFlow loads.
    stream = os.dup(2)

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        with contextlib.suppress(OSError, RuntimeError):  # closed pipe, or a write interrupted
            sys.stdout.flush()
        with contextlib.suppress(OSError):
            os.write(stream, f"{announced(sentence)}\n".encode())
        os._exit(EXIT_STATUS)

    try:
        with _handled_by(end):
            yield
    finally:
        os.close(stream)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Install a handler in the main thread only, and not if SIGTERM is ignored.

    Python allows handlers in the main thread only. Whoever started the process asked to ignore the
    signal, as a shell does after `trap '' TERM`.
    """
    ignored = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
