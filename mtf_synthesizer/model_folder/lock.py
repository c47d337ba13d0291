"""Lock on a model folder: two runs would overwrite each other's checkpoints."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

LOCK = "run.lock"


@contextlib.contextmanager
def hold(folder: paths.Path) -> Iterator[None]:
    """Hold the lock of the folder inside.

    The file remains and names the process that held the lock last. The lock itself ends with the
    process, so a lock is never stale. Remote folders have no locks and are not protected.

    Raises:
      errors.UserError: another run holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(folder, paths.RemotePath):
        yield
        return
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise errors.UserError(
                f"{folder} is in use: {file.read().strip() or 'another process'} trains there. "
                "Wait for that run or end it, or choose another --model_dir"
            ) from error
        except OSError:  # a file system without locks
            pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
