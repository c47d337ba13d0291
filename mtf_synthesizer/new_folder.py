"""Folders that are there once they are complete."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from mtf_synthesizer import names, paths, saving

# Copied after all others: without them nothing takes a folder for a model.
_LAST = ("checkpoint", "saved_model.pb")


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

    Whatever goes wrong inside, nothing is left of it.
    """
    target = paths.of(path)
    if isinstance(target, paths.RemotePath):
        with tempfile.TemporaryDirectory() as local:
            yield pathlib.Path(local)
            _copy(pathlib.Path(local), target)
        return
    folder = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    folder.mkdir(parents=True)
    try:
        yield folder
        folder.replace(target)
    finally:
        if folder.exists():
            paths.remove_folder(folder)


def _copy(source: pathlib.Path, target: paths.RemotePath) -> None:
    """File by file: object stores know no folders, and have none to rename."""
    files = [each for each in source.rglob("*") if each.is_file()]
    for file in sorted(files, key=lambda each: (each.name in _LAST, str(each))):
        new = target / file.relative_to(source)
        new.parent.mkdir(parents=True, exist_ok=True)
        new.parent.copy_from(file, new.name)
