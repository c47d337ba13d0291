"""What a machine that is taken away does to a run: it saves a checkpoint and ends."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

EXIT_STATUS = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on
_NO_STEP = "asked to end while no step was under way: there was nothing to save"


class Terminated(BaseException):
    """A run ended early because it was asked to; what it did is saved.

    As KeyboardInterrupt no Exception, so that nothing that deals with errors on the way holds it.
    """


def announced(sentence: object) -> str:
    """What the command line says when SIGTERM ends a command."""
    return f"mtf_synthesizer: {sentence}; the same command goes on"


class Notice:
    """Whether SIGTERM came, and what happens when it comes.

    Until the first step there is nothing to save: what the signal meant before holds, or, if that
    was nothing, `Terminated` is raised where the program is.
    Afterwards it is only noted, for the training to end after the step that is under way.

    Args:
      before: the handler that the signal had, as of signal.getsignal.
    """

    def __init__(self, before: Any = None) -> None:
        self._before = before
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
        self._came = True
        if self._in_steps:
            return
        if callable(self._before):
            self._before(number, frame)
        else:
            raise Terminated("asked to end before the first step: there was nothing to save")


@contextlib.contextmanager
def noticed() -> Iterator[Notice]:
    """Inside, SIGTERM does not end the process as it is, but as `Notice` says.

    Where it was ignored, it still is.
    """
    notice = Notice(signal.getsignal(signal.SIGTERM))
    with _handled_by(notice.handle):
        yield notice


@contextlib.contextmanager
def ends_the_process(said: str = _NO_STEP) -> Iterator[None]:
    """Inside, SIGTERM ends the process at once, with a sentence and a status of its own.

    Where it was ignored, it still is.

    Not by an exception: TensorFlow aborts where one meets its C++, and Python drops one raised in
    the callback of a weak reference, as importing has many. What is half-written then is as after
    a kill, which everything that is written is made for.

    A call of TensorFlow that is under way comes to its end first: Python waits for it.
    """
    # Of its own, because `quiet` holds back what is written to the other while TensorFlow loads.
    stream = os.dup(2)

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        with contextlib.suppress(OSError, RuntimeError):  # no reader, or it was just being written
            sys.stdout.flush()
        with contextlib.suppress(OSError):
            os.write(stream, f"{announced(said)}\n".encode())
        os._exit(EXIT_STATUS)

    try:
        with _handled_by(end):
            yield
    finally:
        os.close(stream)


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Only in the main thread, as Python allows handlers nowhere else, and not where it is ignored.

    Who started the process wanted that, as a shell does after `trap '' TERM`.
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
