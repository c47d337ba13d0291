"""One run in a model folder at a time: two would overwrite each other's checkpoints."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

LOCK = "run.lock"


@contextlib.contextmanager
def held(model_dir: str | os.PathLike[str]) -> Iterator[None]:
    """Inside, the folder belongs to this run.

    The file stays, with the process that had it last, but the lock on it ends with the process,
    however that ends: there are no stale ones. A remote folder has no locks, and so no guard.

    Raises:
      errors.UserError: another run has it.
    """
    folder = paths.of(model_dir)
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
                f"{model_dir} is in use: {file.read().strip() or 'another process'} trains there. "
                "Wait for it or end it, or choose another --model_dir"
            ) from error
        except OSError:  # a file system without locks
            pass
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
