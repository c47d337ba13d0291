"""Folders that are there once they are complete."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mtf_synthesizer import names, paths, saving

# Copied after all others: without them nothing takes a folder for a model or a data set.
_LAST = ("checkpoint", "saved_model.pb", "features.json")


def check(flag: str, path: str | os.PathLike[str]) -> None:
    """Raises a UserError unless a folder can be made there: nothing is, or an empty one.

    Args:
      flag: that asks for it, for messages.
      path: of the folder.
    """
    folder = paths.of(path)
    if folder.exists() and (not folder.is_dir() or any(True for _ in folder.iterdir())):
        raise names.UserError(f"{flag} {path} is there and not empty: choose a new folder")
    saving.check_folder(path)


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
