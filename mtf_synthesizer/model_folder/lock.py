"""Lock on a model folder: two runs would overwrite each other's checkpoints."""

import contextlib
from collections.abc import Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.files import locks, paths

LOCK = "run.lock"


@contextlib.contextmanager
def hold(folder: paths.Path) -> Iterator[None]:
    """Hold the lock of the folder inside.

    The file remains and names the process that held the lock last.

    Raises:
      errors.UserError: another run holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def refusal(holder: str) -> errors.UserError:
        return errors.UserError(
            f"{folder} is in use: {holder} trains there. Wait for that run or end it, or choose "
            "another --model_dir"
        )

    with locks.hold(folder / LOCK, refusal):
        yield


def check_free(folder: paths.Path) -> None:
    """Raise a UserError if a run trains in the folder; create nothing."""
    if (folder / LOCK).exists():
        with hold(folder):
            pass
