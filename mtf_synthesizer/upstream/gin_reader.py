"""gin reads files through `config.trust`: the text that was checked is the text that is parsed."""

import contextlib
import io
from collections.abc import Callable, Iterator
from unittest import mock

import gin

from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.files import paths

_READERS = "_FILE_READERS"


@contextlib.contextmanager
def checked(reader: TrustedReader) -> Iterator[None]:
    """Make gin refuse inside whatever the reader refuses."""
    with mock.patch.object(gin.config, _READERS, _readers(reader)):
        yield


def install(reader: TrustedReader) -> None:
    """Make gin refuse whatever the reader refuses, for the rest of the process."""
    setattr(gin.config, _READERS, _readers(reader))


def _readers(reader: TrustedReader) -> list[tuple[Callable[..., object], Callable[..., bool]]]:
    # Looking for a file of a URL would use the network before opening it is refused.
    return [(_Opener(reader).open, lambda name: paths.is_remote(name) or paths.of(name).is_file())]


class _Opener:
    """Opener of gin files. gin keeps a file open while it parses the files that it includes."""

    def __init__(self, reader: TrustedReader):
        self._reader = reader
        self._within: list[paths.Path | None] = [None]

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[io.StringIO]:
        text, within = self._reader.read(paths.of(name), self._within[-1], name)
        self._within.append(within)
        try:
            yield _Named(text, name)
        finally:
            self._within.pop()


class _Named(io.StringIO):
    """A text with the name of its file, which gin shows in its messages."""

    def __init__(self, text: str, name: str):
        super().__init__(text)
        self.name = name
