"""Files that are either as they were or complete, never half-written."""

import json
import os
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.runtime import literal_paths


def check_file(path: str | os.PathLike[str]) -> None:
    """Raises a UserError unless a file can be written there; before the work, not after it."""
    _check_named(path)
    target = paths.of(path)
    if target.is_dir():
        raise errors.UserError(f"{path} is a folder: give the name of a file")
    _check_place(path, target)


def check_folder(path: str | os.PathLike[str]) -> None:
    """As `check_file`, of a folder that is there or will be made."""
    _check_named(path)
    literal_paths.check_remote(path)
    _check_place(path, paths.of(path) / "file")


def _check_named(path: str | os.PathLike[str]) -> None:
    if not os.fspath(path):
        raise errors.UserError("the path of a file or folder is empty. Give its name")


def _check_place(path: str | os.PathLike[str], target: paths.Path) -> None:
    if paths.is_remote(path):  # only trying tells what may be written there
        return
    nearest = next(parent for parent in target.absolute().parents if parent.exists())
    if not nearest.is_dir():
        raise errors.UserError(f"{path} can't be written: {nearest} is no folder")
    if not os.access(nearest, os.W_OK):
        raise errors.UserError(f"{path} can't be written: no permission to write in {nearest}")


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file under a temporary name, then renames it; makes its folder.

    Whatever goes wrong, the file is as it was and nothing lies beside it.
    """
    target = paths.of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except BaseException:  # a full disk, ctrl-C
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """As `write_bytes`, readable JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
