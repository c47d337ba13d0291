"""A text whose lines are read one by one, and the file of what is made of each; no TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any, Self

from mtf_synthesizer import errors
from mtf_synthesizer.config.gin_files import own_digest
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.vocabulary import BYTES
from mtf_synthesizer.runtime import precision

STANDARD_INPUT = "-"
# Object stores can't append, so the whole file is written again with the addition.
_SECONDS_BETWEEN_UPLOADS = 60.0


def check_output(output: str | os.PathLike[str]) -> None:
    """Raise a UserError if the output can't be written, or exists."""
    saving.check_file(output)
    if paths.of(output).exists():
        raise errors.UserError(f"--output {output} is there: remove it, or choose another file")


@contextlib.contextmanager
def opened(source: str) -> Iterator[Lines]:
    """The lines of a file, or of standard input, which is kept in a file meanwhile.

    Raises:
      errors.UserError: the file does not exist.
    """
    if source != STANDARD_INPUT:
        yield Lines(source, source)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "lines"
        with open(copy, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield Lines(copy, "standard input")


class Lines:
    """The lines of a text file, stripped of blanks; every iteration reads the file again.

    Args:
      path: of the file.
      shown: what it is called in messages.

    Raises:
      errors.UserError: the file does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], shown: str):
        self._path, self._shown = paths.of(path), shown
        if not self._path.is_file():
            raise errors.UserError(
                f"--input {shown}: no such file. Give a text file, or - to pipe in"
            )

    def __iter__(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise errors.UserError(
                        f"{self._shown}, line {number}: not UTF-8 text ({error.reason})"
                    ) from error
                if number == 1 and "\0" in text:
                    raise errors.UserError(
                        f"{self._shown}, line 1: it holds NUL, so it is UTF-16 or not a text. "
                        "Convert it to UTF-8, for example with iconv"
                    )
                yield text

    def digest(self) -> str:
        """Changes when the file does."""
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


def made_by(lines: Lines, checkpoint: str, configuration: Configuration) -> dict[str, Any]:
    """The settings that the lines of an output depend on.

    Args:
      lines: the text to decode.
      checkpoint: its fingerprint.
      configuration: of the model, with the user's changes. The text of a gin file counts, and of a
        vocabulary.
    """
    return {
        "input": lines.digest(),
        "checkpoint": checkpoint,
        "gin_files": [own_digest(file) or file for file in configuration.files],
        "gin_params": list(configuration.params),
        "modules": list(configuration.modules),
        "vocabulary": _content(configuration.vocabulary),
        "matmul_precision": precision.current(),
    }


def _content(vocabulary: str | None) -> str | None:
    """Return the SHA-256 of a vocabulary's file; "bytes", and None for that of the task."""
    if vocabulary in (None, BYTES):
        return vocabulary
    return hashlib.sha256(paths.of(vocabulary).read_bytes()).hexdigest()


class Output:
    """The file of results while it is made: OUTPUT.part, renamed to OUTPUT once it is complete.

    Beside it OUTPUT.part.json says what makes it, so that it is only continued by the same.

    Attributes:
      done: number of lines that an interrupted attempt has left.

    Args:
      path: OUTPUT.
      made_by: what decides about its lines.

    Raises:
      errors.UserError: there is a beginning that was made otherwise.
    """

    def __init__(self, path: str | os.PathLike[str], made_by: Mapping[str, Any]):
        self._path = paths.of(path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._record = self._part.with_name(self._part.name + ".json")
        self._stack = contextlib.ExitStack()
        self._file: IO[bytes] | None = None
        self._between = _SECONDS_BETWEEN_UPLOADS if paths.is_remote(path) else 0.0
        self._flushed = time.monotonic()
        self._check(made_by)
        saving.write_json(self._record, made_by)
        self.done = self._keep_whole_lines()

    def _check(self, made_by: Mapping[str, Any]) -> None:
        if not self._part.exists() or not paths.size(self._part):
            return  # an attempt that failed before its first line binds nobody
        try:
            found = json.loads(self._record.read_text("utf-8"))
            differing = [name for name in made_by if found.get(name) != made_by[name]]
        except (OSError, ValueError, AttributeError):
            differing = ["what, is not known"]
        if differing:
            raise errors.UserError(
                f"{self._part} is the beginning of other predictions (another "
                f"{', '.join(differing)}): remove it, or choose another --output"
            )

    def _keep_whole_lines(self) -> int:
        """Cuts off a line that was half written; the number of those before it."""
        if not self._part.exists():
            return 0
        count = end = 0
        with self._part.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    count, end = count + 1, end + len(line)
        if end < paths.size(self._part):
            self._cut_off(end)
        return count

    def _cut_off(self, end: int) -> None:
        """Where it lies, if it can be: it may be as large as the disk and larger than memory."""
        if isinstance(self._part, pathlib.Path):
            os.truncate(self._part, end)
        else:
            saving.write_bytes(self._part, self._part.read_bytes()[:end])

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(self._part.open("ab"))
        return self

    def write(self, text: str) -> None:
        """Add a line; breaks inside of it become blanks."""
        assert self._file is not None
        self._file.write(" ".join(text.splitlines()).encode("utf-8") + b"\n")

    def flush(self) -> None:
        """Hand what was written to the file system: it outlives this process."""
        assert self._file is not None
        if time.monotonic() - self._flushed >= self._between:
            self._file.flush()
            self._flushed = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._stack.close()
        if kind is None:
            self._part.replace(self._path)
            self._record.unlink()
