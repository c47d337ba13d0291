"""Folders that appear only when they are complete."""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import locks, paths, saving

# Copied last: without these files nothing takes a folder for a model or a data set.
_LAST = ("checkpoint", "saved_model.pb", "features.json")


def check(flag: str, path: str | os.PathLike[str]) -> None:
    """Raise a UserError unless the folder can be created: the place is free or an empty folder.

    Unfinished content of a killed process does not count. A process that writes there now does.

    Args:
      flag: the flag that names the folder, for the message.
      path: the folder.
    """
    folder = paths.of(path).resolve()
    if folder.exists() and (not folder.is_dir() or {*folder.iterdir()} > {*_left(folder, folder)}):
        raise errors.UserError(f"{flag} {path} exists and is not empty: choose a new folder")
    saving.check_folder(path)
    locks.check_output_is_free(folder)


def _left(folder: paths.Path, place: paths.Path) -> list[paths.Path]:
    """Return the temporary folders in a place in which killed processes were making a folder."""
    temporary = re.compile(rf"{re.escape(folder.name)}\.(\d+)\.tmp")
    entries = place.iterdir() if place.is_dir() else ()
    candidates = [(entry, temporary.fullmatch(entry.name)) for entry in entries]
    return [
        entry
        for entry, match in candidates
        if match and entry.is_dir() and not _is_running(int(match[1]))
    ]


def _is_running(process: int) -> bool:
    if process == os.getpid():  # left by an earlier process with this number, as in containers
        return False
    try:
        os.kill(process, 0)
    except PermissionError:  # a process of another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


@contextlib.contextmanager
def create(path: str | os.PathLike[str]) -> Iterator[paths.Path]:
    """Yield a local folder to write to, which then takes the place of `path`.

    After any failure `path` is as it was before.

    Raises:
      errors.UserError: another process writes there, or has just done so.
    """
    target = paths.of(path).resolve()
    if isinstance(target, paths.RemotePath):
        with tempfile.TemporaryDirectory() as local:
            yield pathlib.Path(local)
            copy(pathlib.Path(local), target)
        return
    before = _content(target)
    with locks.hold_output(target):
        _check_unchanged(target, before)
        # An empty folder is filled, not replaced: it may be a working directory or a mount point.
        exists = target.exists()
        place = target if exists else target.parent
        for leftover in _left(target, place):
            paths.remove_folder(leftover)
        folder = place / f"{target.name}.{os.getpid()}.tmp"
        folder.mkdir(parents=True)
        try:
            yield folder
            _check_unchanged(target, before)
            if exists:
                _fill(target, folder, _move)
            else:
                folder.replace(target)
        finally:
            if folder.exists():
                paths.remove_folder(folder)


def _check_unchanged(folder: pathlib.Path, before: list[str] | None) -> None:
    if _content(folder) != before:
        raise errors.UserError(f"{folder} was written by another process: choose a new folder")


def _content(folder: pathlib.Path) -> list[str] | None:
    """Return the names in a folder without hidden and temporary ones; None without the folder."""
    if not folder.is_dir():
        return None
    return [path.name for path in paths.matching(folder, "*") if path.suffix != ".tmp"]


def copy(source: pathlib.Path, target: paths.RemotePath) -> None:
    """Copy the content of a local folder into a remote folder, or nothing."""
    _fill(target, source, _copy)


Put = Callable[[pathlib.Path, Any], None]


def _fill(target: paths.Path, source: pathlib.Path, put: Put) -> None:
    """Put the content of a folder into another folder, or nothing."""
    entries = _in_order(source.iterdir())
    try:
        for entry in entries:
            put(entry, target)
    except BaseException:  # a full disk, ctrl-C
        with contextlib.suppress(OSError):  # report the first error, not a failed clean-up
            for entry in entries:
                _remove(target / entry.name)
        raise


def _in_order(files: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    return sorted(files, key=lambda file: (file.name in _LAST, str(file)))


def _move(entry: pathlib.Path, target: pathlib.Path) -> None:
    entry.replace(target / entry.name)


def _copy(entry: pathlib.Path, target: paths.RemotePath) -> None:
    """Copy file by file: object stores have no folders to rename."""
    target.mkdir(parents=True, exist_ok=True)
    if entry.is_file():
        target.copy_from(entry, entry.name)
        return
    for child in _in_order(entry.iterdir()):
        _copy(child, target / entry.name)


def _remove(path: paths.Path) -> None:
    if path.is_dir():
        paths.remove_folder(path)
    elif path.exists():
        path.unlink()
