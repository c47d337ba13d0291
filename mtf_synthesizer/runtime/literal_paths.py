"""Literal folder names that TensorFlow would take for patterns: `runs/lr=[0.1]`, `runs/a*`.

TensorFlow looks for checkpoints by pattern and deletes all matches. A run in `seed[0]` would delete
checkpoints of `seed0` and fail to read its own. `install` makes the name of an existing folder
literal. TensorFlow's C++ code reads checkpoints through a symbolic link with a plain name.
"""

import atexit
import functools
import importlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from mtf_synthesizer.errors import UserError

_SPECIAL = re.compile(r"[*?\[\]\\]")
_HERE = re.compile(r"(/\.)+(?=/|$)")
_APIS = ("", "compat.v1.", "compat.v2.")
_numbers = itertools.count()


def checkpoint(path: str | bytes | os.PathLike[str]) -> str:
    """Return a path by which TensorFlow's C++ code reads exactly this checkpoint.

    Raises:
      UserError: the path is remote and contains a character of TensorFlow's patterns.
    """
    folder, name = os.path.split(os.fsdecode(path))
    if not _SPECIAL.search(folder):
        return os.path.join(folder, name)
    check_remote(folder)
    return os.path.join(_link(os.path.abspath(folder)), name)


def check_remote(path: str | os.PathLike[str]) -> None:
    r"""Raise a UserError for a remote folder that contains one of * ? [ ] \."""
    if "://" in os.fspath(path):
        check(f"{path}:", path)


def check(place: str, path: str | os.PathLike[str]) -> None:
    r"""Raise a UserError that begins with `place` for a path that contains one of * ? [ ] \."""
    special = _SPECIAL.search(os.fspath(path))
    if special:
        raise UserError(
            f"{place} TensorFlow takes {special[0]} for a pattern and could not read the files "
            "written there. Choose a folder without * ? [ ] \\"
        )


@functools.cache
def _link(folder: str) -> str:
    link = os.path.join(_links(), str(next(_numbers)))
    os.symlink(folder, link)
    return link


@functools.cache
def _links() -> str:
    """Return a folder for symbolic links, which is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="mtf_synthesizer_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def pattern(text: str | bytes | os.PathLike[str]) -> str:
    """Return a pattern for TensorFlow in which the names of existing folders are literal."""
    text = os.fsdecode(text)
    folder = os.path.dirname(text)
    while _SPECIAL.search(folder):
        if _files().is_directory_v2(folder):
            rest = text[len(folder) :]
            folder = _HERE.sub("", folder)  # TensorFlow does not match `folder/./name`
            return _SPECIAL.sub(r"\\\g<0>", folder) + _HERE.sub("", rest)
        folder = os.path.dirname(folder)
    return text


def _load(name: str) -> Any:
    return importlib.import_module(name)


def _files() -> Any:
    return _load("tensorflow.python.lib.io.file_io")


def install() -> None:
    """Make TensorFlow read such folders literally; a second call changes nothing."""
    files = _files()
    if hasattr(files.get_matching_files_v2, "__wrapped__"):
        return
    files.get_matching_files_v2 = _matching(files.get_matching_files_v2)
    for api in _APIS:
        _load(f"tensorflow.{api}io.gfile").glob = files.get_matching_files_v2
    operations = _load("tensorflow.python.ops.io_ops")
    operations.restore_v2 = _reading(operations.restore_v2)
    readers = _load("tensorflow.python.training.py_checkpoint_reader")
    readers.NewCheckpointReader = _reading(readers.NewCheckpointReader)
    _load("tensorflow.compat.v1.train").NewCheckpointReader = readers.NewCheckpointReader
    saver = _load("tensorflow.python.training.saver").Saver
    saver.restore = _restoring(saver.restore)


def _matching(original: Callable[[Any], list[str]]) -> Callable[[Any], list[str]]:
    @functools.wraps(original)
    def matching(request: str | Iterable[str]) -> list[str]:
        if isinstance(request, str | bytes | os.PathLike):
            return original(pattern(request))
        return original([pattern(text) for text in request])

    return matching


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function whose first argument is a checkpoint path, or a tensor that holds it."""

    @functools.wraps(original)
    def read(prefix: Any, *args: Any, **kwargs: Any) -> Any:
        is_path = isinstance(prefix, str | bytes | os.PathLike)
        return original(checkpoint(prefix) if is_path else prefix, *args, **kwargs)

    return read


def _restoring(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def restore(self: Any, sess: Any, save_path: Any) -> Any:
        return original(self, sess, save_path and checkpoint(save_path))

    return restore
