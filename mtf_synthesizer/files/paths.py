"""Paths of every file system that TensorFlow knows: local paths, gs://, s3://, hdfs://, ram://.

`of` turns a local path into a `pathlib.Path`, for which TensorFlow is never loaded. It turns
`scheme://...` into a `RemotePath`, which has the methods of `pathlib.Path` that this package uses.
pathlib would turn `gs://bucket` into `gs:/bucket`. etils' epath knows four schemes, but neither
hdfs:// nor ram://.

All files that may be remote are accessed through this module; tests/files/test_remote_paths.py
lists the modules that are exempt.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import importlib.util
import io
import os
import pathlib
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any, Self

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Class of TensorFlow's error -> the equivalent error of the operating system.
_ERRORS: dict[str, tuple[type[OSError], int]] = {
    "NotFoundError": (FileNotFoundError, errno.ENOENT),
    "PermissionDeniedError": (PermissionError, errno.EACCES),
    "AlreadyExistsError": (FileExistsError, errno.EEXIST),
}


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Return whether a path begins with a scheme, as gs://bucket/folder does."""
    return _SCHEME.match(os.fspath(path)) is not None


def of(path: str | os.PathLike[str]) -> Path:
    """Return a path with pathlib's methods, local or remote."""
    return RemotePath(path) if is_remote(path) else pathlib.Path(path)


def size(path: Path) -> int:
    """Return the size of a file in bytes."""
    return path.size() if isinstance(path, RemotePath) else path.stat().st_size


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the children of a folder whose names match a pattern like `*.json`, sorted by name.

    Hidden names are left out: `._train.json` of macOS and `.train.json.swp` of an editor are not
    the user's files. Only the name is a pattern, so the folder's own name may contain brackets.
    """
    if not folder.is_dir():
        return []
    children: list[Path] = [*folder.iterdir()]
    return sorted(matches(children, pattern), key=lambda path: path.name)


def matches(children: Iterable[Path], pattern: str) -> list[Path]:
    """Return the paths whose names match a pattern and are not hidden, in their order."""
    return [path for path in children if _is_shown(path.name, pattern)]


def matching_below(folder: Path, pattern: str) -> list[Path]:
    """Return matching files at any depth, sorted by path, without those in hidden folders."""
    matches = [path for path in folder.rglob(pattern) if not _is_hidden(path.relative_to(folder))]
    return sorted(matches)


def _is_shown(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) and not name.startswith(".")


def _is_hidden(path: pathlib.PurePath) -> bool:
    return any(part.startswith(".") for part in path.parts)


def remove_folder(path: Path) -> None:
    """Remove a folder and its content."""
    if isinstance(path, RemotePath):
        path.remove_folder()
    else:
        shutil.rmtree(path)


@functools.total_ordering
class RemotePath(os.PathLike[str]):
    """A path `scheme://...` with the methods of `pathlib.Path`.

    Raises:
      OSError: TensorFlow reports an error; the class is the one that pathlib would raise.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._scheme, _, rest = os.fspath(path).partition("://")
        self._path = pathlib.PurePosixPath(rest)

    def __fspath__(self) -> str:
        return f"{self._scheme}://{'' if str(self._path) == '.' else self._path}"

    def __str__(self) -> str:
        return self.__fspath__()

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __lt__(self, other: RemotePath) -> bool:
        return str(self) < str(other)

    def __truediv__(self, part: str | os.PathLike[str]) -> Self:
        return self._with(self._path / part)

    def _with(self, path: pathlib.PurePosixPath) -> Self:
        return type(self)(f"{self._scheme}://{path}")

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def stem(self) -> str:
        return self._path.stem

    @property
    def suffix(self) -> str:
        return self._path.suffix

    @property
    def parent(self) -> Self:
        return self._with(self._path.parent)

    @property
    def parents(self) -> list[Self]:
        # The topmost parent is the bucket or host, which has a name.
        return [self._with(parent) for parent in self._path.parents if parent.name]

    def with_name(self, name: str) -> Self:
        return self._with(self._path.with_name(name))

    def with_suffix(self, suffix: str) -> Self:
        return self._with(self._path.with_suffix(suffix))

    def relative_to(self, other: str | os.PathLike[str]) -> pathlib.PurePosixPath:
        return self._path.relative_to(RemotePath(other)._path)

    def as_posix(self) -> str:
        return str(self)

    def is_absolute(self) -> bool:
        return True

    def absolute(self) -> Self:
        return self

    def resolve(self) -> Self:
        return self

    def exists(self) -> bool:
        with self._errors():
            return bool(_gfile().exists(str(self)))

    def is_dir(self) -> bool:
        with self._errors():
            return bool(_gfile().isdir(str(self)))

    def is_file(self) -> bool:
        return self.exists() and not self.is_dir()

    def size(self) -> int:
        with self._errors():
            return int(_gfile().stat(str(self)).length)

    def glob(self, pattern: str) -> Iterator[Self]:
        # TensorFlow's own glob would take the folder for a pattern too.
        parent, _, name = pattern.rpartition("/")
        folder = self / parent if parent else self
        if not folder.is_dir():
            return iter([])
        return (child for child in folder.iterdir() if fnmatch.fnmatchcase(child.name, name))

    def rglob(self, pattern: str) -> Iterator[Self]:
        with self._errors():
            folders = [folder for folder, _, _ in _gfile().walk(str(self))]
        for folder in folders:
            yield from type(self)(folder).glob(pattern)

    def iterdir(self) -> Iterator[Self]:
        with self._errors():
            names = _gfile().listdir(str(self))
        return iter([self / name.rstrip("/") for name in names])

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        if not exist_ok and self.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
        with self._errors():
            _gfile().makedirs(str(self))

    @contextlib.contextmanager
    def open(self, mode: str, encoding: str = "utf-8") -> Iterator[IO[Any]]:
        with self._errors(), _gfile().GFile(str(self), mode) as file:
            yield io.BufferedReader(_Reader(file)) if mode == "rb" else file

    def read_bytes(self) -> bytes:
        with self._errors(), _gfile().GFile(str(self), "rb") as file:
            return bytes(file.read())

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        with self.open("wb") as file:
            file.write(content)

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        self.write_bytes(text.encode(encoding))

    def copy_from(self, file: Path, name: str) -> None:
        """Copy a file into this folder."""
        with self._errors():
            _gfile().copy(str(file), str(self / name), overwrite=True)

    def replace(self, target: str | os.PathLike[str]) -> None:
        """Rename; object stores copy and delete instead."""
        with self._errors():
            _gfile().rename(str(self), os.fspath(target), overwrite=True)

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with self._errors():
                _gfile().remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_folder(self) -> None:
        with self._errors():
            _gfile().rmtree(str(self))

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _tensorflow().errors.UnimplementedError as error:
            from mtf_synthesizer import errors

            raise errors.UserError(
                f"{self}: TensorFlow does not know the file system {self._scheme}://. Install the "
                "package tensorflow-io, or use gs://"
            ) from error
        except _tensorflow().errors.OpError as error:
            kind, number = _ERRORS.get(type(error).__name__, (OSError, errno.EIO))
            raise kind(number, error.message or os.strerror(number), str(self)) from error


class _Reader(io.RawIOBase):
    """Byte stream over TensorFlow's file object, whose own lines drop carriage returns."""

    def __init__(self, file: Any):
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


Path = pathlib.Path | RemotePath


def _gfile() -> Any:
    return _tensorflow().io.gfile


@functools.cache
def _tensorflow() -> Any:
    """Return TensorFlow with the file systems of tensorflow-io; load it if necessary."""
    if "tensorflow" not in sys.modules:
        from mtf_synthesizer.runtime import loading

        loading.load_tensorflow(verbose=False)
    if importlib.util.find_spec("tensorflow_io"):
        importlib.import_module("tensorflow_io")
    return importlib.import_module("tensorflow")
