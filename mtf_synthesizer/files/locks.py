"""Locks between processes. A lock ends with its process, so it is never stale.

Remote places and file systems without locks are not protected.
"""

import contextlib
import fcntl
import os
import pathlib
import socket
from collections.abc import Callable, Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

# Makes the error of a second process from the name of the process that holds the lock.
Refusal = Callable[[str], errors.UserError]


@contextlib.contextmanager
def hold(path: paths.Path, refusal: Refusal) -> Iterator[None]:
    """Hold a lock file inside; the file remains and names the last process.

    After an error it is removed if its folder has no other file, and so is a folder created for it:
    a command that fails before its first file leaves nothing behind.

    Args:
      path: the lock file; its folder is created if necessary.
      refusal: makes the error if another process holds the lock.

    Raises:
      errors.UserError: another process holds the lock, or another user's file can't be read.
    """
    with (
        _without_new_folders(path),
        _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB, refusal),
        _removed_if_alone(path),
    ):
        yield


@contextlib.contextmanager
def hold_output(output: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing a file or folder inside; leave no lock file behind.

    Raises:
      errors.UserError: another process writes there.
    """
    path = _beside(output)
    with (
        _without_new_folders(path),
        hold(path, lambda holder: _in_use(output, holder)),
        _removed(path),
    ):
        yield


def check_output_is_free(output: str | os.PathLike[str]) -> None:
    """Raise a UserError if another process writes a file or folder; call this before the work."""
    with hold_output(output):
        pass


@contextlib.contextmanager
def wait_for_output(output: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a file inside as `hold_output` does, after waiting for a process that changes it.

    For changes that take moments.
    """
    path = _beside(output)
    with _locked(path, fcntl.LOCK_EX, lambda holder: _in_use(output, holder)), _removed(path):
        yield


def is_held(folder: pathlib.Path) -> bool:
    """Return whether a process holds a folder by `hold_folder`."""
    try:
        with hold_folder(folder):
            return False
    except BlockingIOError:
        return True


@contextlib.contextmanager
def hold_folder(folder: pathlib.Path) -> Iterator[None]:
    """Mark a temporary folder as in use inside, without a file in it.

    Raises:
      BlockingIOError: another process holds the folder.
    """
    file = os.open(folder, os.O_RDONLY)
    try:
        _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _in_use(output: str | os.PathLike[str], holder: str) -> errors.UserError:
    return errors.UserError(
        f"{output} is in use: {holder} writes there. Wait for that command or end it, or choose "
        "another place"
    )


def _beside(output: str | os.PathLike[str]) -> paths.Path:
    """Return the path of the hidden lock file of an output."""
    target = paths.of(output)
    if isinstance(target, paths.RemotePath):
        return target
    target = target.parent.resolve() / target.name
    if target.is_dir() and not os.access(target.parent, os.W_OK):  # a mount point
        return target / ".lock"
    return target.with_name(f".{target.name}.lock")


@contextlib.contextmanager
def _removed(path: paths.Path) -> Iterator[None]:
    """Remove a lock file at the end, while the lock is still held."""
    try:
        yield
    finally:
        if isinstance(path, pathlib.Path):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _removed_if_alone(path: paths.Path) -> Iterator[None]:
    """After an error remove a lock file, still held, if its folder has no other file."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # the folder is gone
            if isinstance(path, pathlib.Path) and [*path.parent.iterdir()] == [path]:
                path.unlink()
        raise


@contextlib.contextmanager
def _without_new_folders(path: paths.Path) -> Iterator[None]:
    """Remove folders at the end that were created for a lock file and stayed empty."""
    new = [] if isinstance(path, paths.RemotePath) else [p for p in path.parents if not p.exists()]
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty
            for folder in new:
                folder.rmdir()


@contextlib.contextmanager
def _locked(path: paths.Path, operation: int, refusal: Refusal) -> Iterator[None]:
    if isinstance(path, paths.RemotePath):
        yield
        return
    file = _sign(path, _take(path, operation, refusal))
    try:
        yield
    finally:
        os.close(file)


def _take(path: pathlib.Path, operation: int, refusal: Refusal) -> int:
    """Return the descriptor of the locked file."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = _open(path)
        except FileNotFoundError:  # the folder was removed again
            continue
        try:
            _lock(file, operation)
            if _is_at(path, file):  # else another process removed the file meanwhile
                return file
        except BlockingIOError as error:
            holder = os.pread(file, 200, 0).decode("utf-8", "replace").strip()
            os.close(file)
            raise refusal(holder or "another process") from error
        os.close(file)


def _lock(file: int, operation: int) -> None:
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        pass


def _open(path: pathlib.Path) -> int:
    """Open a lock file, which may be of another user: to lock a file, reading it is enough."""
    with contextlib.suppress(PermissionError):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if os.fstat(file).st_uid == os.geteuid():  # whoever may write the folder, may lock it
            os.fchmod(file, 0o600 | (path.parent.stat().st_mode & 0o666))
        return file
    try:
        return os.open(path, os.O_RDONLY)
    except PermissionError as error:
        raise errors.UserError(
            f"{path} can't be opened: it belongs to user {path.stat().st_uid}. Ask that user to "
            f"make the file readable, or remove it if no run uses the folder"
        ) from error


def _is_at(path: pathlib.Path, file: int) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sign(path: pathlib.Path, file: int) -> int:
    """Write the name of this process into a locked file; replace the file of another user."""
    name = f"process {os.getpid()} on {socket.gethostname()}\n".encode()
    if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        new = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            own = _open(new)
        except OSError:  # the lock holds without a name
            return file
        _lock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.replace(path)
        os.close(file)
        file = own
    os.ftruncate(file, 0)
    os.pwrite(file, name, 0)
    return file
