"""Folders that are there once they are complete."""

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, saving

# Copied after all others: without them nothing takes a folder for a model or a data set.
_LAST = ("checkpoint", "saved_model.pb", "features.json")


def check(flag: str, path: str | os.PathLike[str]) -> None:
    """Raises a UserError unless a folder can be made there: nothing is, or an empty one.

    What a killed process was making of an empty one does not count.

    Args:
      flag: that asks for it, for messages.
      path: of the folder.
    """
    folder = paths.of(path).resolve()
    if folder.exists() and (not folder.is_dir() or {*folder.iterdir()} > {*_left_in(folder)}):
        raise errors.UserError(f"{flag} {path} is there and not empty: choose a new folder")
    saving.check_folder(path)


def _left_in(folder: paths.Path) -> list[paths.Path]:
    """The folders in which killed processes were making what was to fill this one."""
    temporary = re.compile(rf"{re.escape(folder.name)}\.(\d+)\.tmp")
    found = [(entry, temporary.fullmatch(entry.name)) for entry in folder.iterdir()]
    return [each for each, its in found if its and each.is_dir() and not _is_running(int(its[1]))]


def _is_running(process: int) -> bool:
    if process == os.getpid():  # of an earlier one with this number, as containers have them
        return False
    try:
        os.kill(process, 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


@contextlib.contextmanager
def made(path: str | os.PathLike[str]) -> Iterator[paths.Path]:
    """Gives a folder of this machine to write to, which then takes its place.

    Whatever goes wrong, nothing is left in it.
    """
    target = paths.of(path).resolve()
    if isinstance(target, paths.RemotePath):
        with tempfile.TemporaryDirectory() as local:
            yield pathlib.Path(local)
            copy(pathlib.Path(local), target)
        return
    # An empty folder is filled, not replaced: somebody may work in it, or a disk be mounted there.
    is_there = target.exists()
    for left in _left_in(target) if is_there else ():
        paths.remove_folder(left)
    folder = (target if is_there else target.parent) / f"{target.name}.{os.getpid()}.tmp"
    folder.mkdir(parents=True)
    try:
        yield folder
        if is_there:
            _fill(target, folder, _move)
        else:
            folder.replace(target)
    finally:
        if folder.exists():
            paths.remove_folder(folder)


def copy(source: pathlib.Path, target: paths.RemotePath) -> None:
    """Copies all that a folder of this machine holds into a remote one, or nothing."""
    _fill(target, source, _copy)


Put = Callable[[pathlib.Path, Any], None]


def _fill(target: paths.Path, source: pathlib.Path, put: Put) -> None:
    """Puts all that a folder holds into another one, or nothing."""
    entries = _in_order(source.iterdir())
    try:
        for entry in entries:
            put(entry, target)
    except BaseException:  # a full disk, ctrl-C
        with contextlib.suppress(OSError):  # what went wrong first is what counts
            for entry in entries:
                _remove(target / entry.name)
        raise


def _in_order(files: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    return sorted(files, key=lambda each: (each.name in _LAST, str(each)))


def _move(entry: pathlib.Path, target: pathlib.Path) -> None:
    entry.replace(target / entry.name)


def _copy(entry: pathlib.Path, target: paths.RemotePath) -> None:
    """File by file: object stores know no folders, and have none to rename."""
    target.mkdir(parents=True, exist_ok=True)
    if entry.is_file():
        target.copy_from(entry, entry.name)
        return
    for each in _in_order(entry.iterdir()):
        _copy(each, target / entry.name)


def _remove(path: paths.Path) -> None:
    if path.is_dir():
        paths.remove_folder(path)
    elif path.exists():
        path.unlink()
