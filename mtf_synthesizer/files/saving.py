"""Files that are either unchanged or complete, never half-written."""

import json
import os
import shutil
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.runtime import literal_paths


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise a UserError unless a file can be written at `path`; call this before the work."""
    _check_named(path)
    target = paths.of(path)
    if target.is_dir():
        raise errors.UserError(f"{path} is a folder: give the name of a file")
    obstacle = _obstacle(target)
    if obstacle:
        raise errors.UserError(f"{path} can't be written: {obstacle}")


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise a UserError unless `path` is a writable folder or can become one."""
    _check_named(path)
    folder = paths.of(path)
    if isinstance(folder, paths.RemotePath):
        literal_paths.check_remote(path)
    obstacle = _obstacle(folder / "file")
    if obstacle:
        raise errors.UserError(f"{path} can't be written: {obstacle}")


def _check_named(path: str | os.PathLike[str]) -> None:
    """Raise a UserError for a path that is empty, which would mean the working directory."""
    if not os.fspath(path):
        raise errors.UserError("the path of a file or folder is empty. Give its name")


def _obstacle(target: paths.Path) -> str | None:
    """Return why a file can't be written; None if it can."""
    if isinstance(
        target, paths.RemotePath
    ):  # only an attempt shows whether a remote place is writable
        return None
    nearest = next(parent for parent in target.absolute().parents if parent.exists())
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    if not os.access(nearest, os.W_OK):
        return f"no permission to write in {nearest}"
    return None


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file under a temporary name, then rename it; create its folder if necessary.

    After any failure the file is unchanged and no temporary file remains.
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


def link(source: paths.Path, target: paths.Path) -> None:
    """Give a file a second name, or copy it where the file system has no links.

    The new name appears once the file is complete. A writer that replaces one of the two files, as
    all writers of this package do, leaves the other unchanged.
    """
    if isinstance(target, paths.RemotePath):
        target.parent.copy_from(source, target.name)
        return
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        temporary.replace(target)
        temporary.unlink(missing_ok=True)  # a rename to a name of the same file does nothing
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file as `write_bytes` does, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a file as `write_bytes` does, as indented JSON."""

    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
