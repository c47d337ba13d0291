"""Mistakes as tables: the command, the folder it runs in, and parts of the one message."""

import dataclasses
import fnmatch
import importlib
import pathlib
import re
from collections.abc import Callable

_MESSAGE = re.compile(r"^mtf_synthesizer(?P<of_argparse>(?: [\w-]+)*: error)?: ", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A mistake, and what a user is told.

    Attributes:
      title: what is wrong.
      command: what is typed after `mtf_synthesizer`, in a folder of its own.
      said: parts of the message, in their order: the value, what is allowed, what to do.
      change: makes that folder so.
      late: whether TensorFlow is needed to find it.
      leaves: patterns of files that may be there afterwards.
    """

    title: str
    command: str
    said: tuple[str, ...]
    change: Callable[[pathlib.Path], object] = lambda folder: None
    late: bool = False
    leaves: tuple[str, ...] = ()

    def check(self, status, out, err):
        """Asserts that one message says what it must, and that there is no traceback."""
        assert status == 2, err
        assert "Traceback" not in out + err
        begin = _MESSAGE.search(err)
        assert begin is not None, err
        assert begin.start() == 0 or begin["of_argparse"], err
        rest = message = " ".join(err[begin.end() :].split())
        for part in self.said:
            assert part in rest, f"{part!r} is not in {message!r}, or not in this order"
            rest = rest[rest.index(part) + len(part) :]

    def check_untouched(self, before, after):
        """Asserts that what was there is unchanged and nothing is left behind.

        Args:
          before, after: path -> content of each file, None for a folder.
        """
        assert {path: after.get(path) for path in before} == before
        new = [path for path in after if path not in before]
        left = [p for p in new if not any(fnmatch.fnmatch(p, pattern) for pattern in self.leaves)]
        assert not left


def contents(folder):
    """Path -> bytes of each file, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


# What makes a folder so.
def every(*changes):
    """One change after another."""

    def change(folder):
        for each in changes:
            each(folder)

    return change


def written(name, content):
    """A file with a text (in UTF-8) or bytes."""

    def change(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))

    return change


def cut(name, size):
    """A file that ends after so many bytes; a negative number of them is missing."""

    def change(folder):
        (path,) = folder.glob(name)
        path.write_bytes(path.read_bytes()[:size])

    return change


def removed(name):
    """A file, or several, that are gone."""

    def change(folder):
        found = list(folder.glob(name))
        assert found
        for path in found:
            path.unlink()

    return change


def replaced(name, old, new):
    """Other bytes in a file, once."""

    def change(folder):
        (path,) = folder.glob(name)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return change


def folder(name):
    """An empty folder."""
    return lambda place: (place / name).mkdir(parents=True)


MODULES = ("flags", "bindings", "files", "predictions", "runs", "tasks")


def tables():
    """Title of a table -> its faults."""
    modules = [importlib.import_module(f"faults_of_{subject}") for subject in MODULES]
    return {title: table for module in modules for title, table in module.TABLES.items()}
