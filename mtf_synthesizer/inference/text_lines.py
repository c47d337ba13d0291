"""Reader of a text line by line, and writer of a line per line. Loads no TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any, Self

from mtf_synthesizer import errors
from mtf_synthesizer.config import digests
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import locks, paths, records, saving
from mtf_synthesizer.model_folder.vocabulary import BYTES
from mtf_synthesizer.runtime import precision

STANDARD = "-"  # standard input or output
# Object stores can't append: each flush writes the whole file again, so flushes are rare.
_SECONDS_BETWEEN_UPLOADS = 60.0


def check_output(output: str | os.PathLike[str]) -> None:
    """Raise a UserError if the output can't be written, or exists."""
    if str(output) == STANDARD:
        return
    saving.check_file(output)
    if paths.of(output).exists():
        raise errors.UserError(
            f"--output {output}: the file exists. Remove it, or choose another file"
        )


@contextlib.contextmanager
def hold_output(output: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing a file inside; standard output belongs to this one."""
    with contextlib.nullcontext() if str(output) == STANDARD else locks.hold_output(output):
        yield


@contextlib.contextmanager
def opened(source: str, flag: str = "--input") -> Iterator[Lines]:
    """Open the lines of a file, or of standard input, which is copied to a temporary file.

    Raises:
      errors.UserError: the file does not exist.
    """
    if source != STANDARD:
        yield Lines(source, source, flag)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "lines"
        with open(copy, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield Lines(copy, "standard input")


class Lines:
    """The lines of a text file without surrounding spaces; each iteration reads the file again.

    Args:
      path: path of the file.
      shown: name of the file in messages.
      flag: option that names the file.

    Raises:
      errors.UserError: the file does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], shown: str, flag: str = "--input"):
        self._path, self._shown = paths.of(path), shown
        if not self._path.is_file():
            raise errors.UserError(
                f"{flag} {shown}: no such file. Give a text file, or - to pipe in"
            )

    def __iter__(self) -> Iterator[str]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise errors.UserError(
                        f"{self._shown}, line {number}: not UTF-8 text ({error.reason}). Convert "
                        "the file to UTF-8"
                    ) from error
                if number == 1 and "\0" in text:
                    raise errors.UserError(
                        f"{self._shown}, line 1: the line has a NUL byte, so the file is UTF-16 or "
                        "binary. Convert it to UTF-8, for example with iconv"
                    )
                yield text

    def digest(self) -> str:
        """Return the SHA-256 of the file."""
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


def made_by(
    lines: Lines, checkpoint: str, configuration: Configuration, **others: Any
) -> dict[str, Any]:
    """Return the settings that the lines of an output depend on.

    Args:
      lines: the text to decode.
      checkpoint: fingerprint of the checkpoint.
      configuration: configuration of the model with the user's changes. Gin files of the user and
        a vocabulary are identified by their content.
      others: further settings; None for a default.
    """
    included = digests.of_included(configuration.params)
    return others | {
        "input": lines.digest(),
        "checkpoint": checkpoint,
        "gin_files": [digests.of_file(file) or file for file in configuration.files],
        "gin_params": list(configuration.params),
        **({"included_file_sha256": included} if included else {}),
        "modules": list(configuration.modules),
        "vocabulary": _content(configuration.vocabulary),
        "matmul_precision": precision.current(),
    }


def _content(vocabulary: str | None) -> str | None:
    """Return the SHA-256 of a vocabulary's file; "bytes" and None stay as they are."""
    if vocabulary in (None, BYTES):
        return vocabulary
    return hashlib.sha256(paths.of(vocabulary).read_bytes()).hexdigest()


class Output:
    """The file of results: OUTPUT.part, renamed to OUTPUT when it is complete.

    OUTPUT.part.json records the settings, so that only a run with equal settings resumes the file.

    Attributes:
      done: number of complete lines from an interrupted attempt.

    Args:
      path: path of OUTPUT.
      made_by: settings that the lines depend on.

    Raises:
      errors.UserError: OUTPUT.part was begun with other settings.
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
            return  # an attempt without a line leaves nothing to resume
        try:
            record = records.parse(self._record.read_text("utf-8"))
            differing = [name for name in made_by if record.get(name) != made_by[name]]
        except (OSError, ValueError, AttributeError):
            differing = ["command"]
        if differing:
            raise errors.UserError(
                f"{self._part} was begun with another {', '.join(differing)}. Remove it, or choose "
                "another --output"
            )

    def _keep_whole_lines(self) -> int:
        """Cut off a half-written line; return the number of complete lines."""
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
        """Truncate the file in place if possible: it may be larger than disk or memory allow."""
        if isinstance(self._part, pathlib.Path):
            os.truncate(self._part, end)
        else:
            saving.write_bytes(self._part, self._part.read_bytes()[:end])

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(self._part.open("ab"))
        return self

    def write(self, text: str) -> None:
        """Write a line; line breaks in the text become spaces."""
        assert self._file is not None
        self._file.write(" ".join(text.splitlines()).encode("utf-8") + b"\n")

    def flush(self) -> None:
        """Hand the written lines to the file system, so that they outlive this process."""
        assert self._file is not None
        if time.monotonic() - self._flushed >= self._between:
            self._file.flush()
            self._flushed = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._stack.close()
        if kind is None:
            self._part.replace(self._path)
            self._record.unlink()


class Printed:
    """The results on standard output, in the place of `Output`.

    Attributes:
      done: 0, because nothing is left of an interrupted attempt.
    """

    done = 0

    def __enter__(self) -> Self:
        return self

    def write(self, text: str) -> None:
        """Print a line; breaks inside of it become blanks."""
        sys.stdout.write(" ".join(text.splitlines()) + "\n")

    def flush(self) -> None:
        """Hand what was printed to its reader."""
        sys.stdout.flush()

    def __exit__(self, *exception: object) -> None:
        self.flush()
