"""Digests of gin files, by which finished work notices that a file was edited."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from gin import config_parser

from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.files import paths


def of_statements(files: Sequence[str]) -> str:
    """Return a digest of what gin files bind; comments, layout and unused files do not count.

    Args:
      files: gin files of a configuration, in order; what they include counts.

    Raises:
      UserError: a file is missing, is not UTF-8, or has a syntax error.
    """
    bound = [(s.scope, s.selector, s.parameter, s.value) for s in statements.read_files(files)]
    return hashlib.sha256(repr(bound).encode("utf-8")).hexdigest()[:16]


def of_file(gin_file: str) -> str | None:
    """Return the SHA-256 of a user's gin file; None for a file of a package.

    The user's files that the file includes count as parts of it. A package's file is identified by
    its name, because a release may change its content.

    Raises:
      UserError: a file is missing, is not UTF-8, or has a syntax error.
    """
    texts = list(_texts([gin_file], set()))
    return hashlib.sha256(b"\0".join(texts)).hexdigest() if texts else None


def of_files(names: Iterable[str], params: Sequence[str] = ()) -> list[str | None]:
    """Return `of_file` of each file, and of each user's file that bindings include.

    Raises:
      UserError: a file is missing, is not UTF-8, or has a syntax error.
    """
    return [of_file(str(name)) for name in (*names, *_included(params))]


def of_included(params: Sequence[str]) -> dict[str, str]:
    """Return `of_file` of each of the user's files that bindings include, by name.

    Raises:
      UserError: a file is missing, is not UTF-8, or has a syntax error.
    """
    return {name: digest for name in _included(params) if (digest := of_file(name))}


def _included(params: Iterable[str]) -> list[str]:
    """The names of the files that bindings include."""
    return [name for param in params for name in _includes(param, f"--gin_param {param!r}")]


def _texts(names: Iterable[str], seen: set[paths.Path]) -> Iterator[bytes]:
    """Yield the content of the user's files among `names`, and of those that they include."""
    for name in names:
        path = gin_files.find_gin_file(name)
        if path in seen or not gin_files.is_own(name):
            continue
        seen.add(path)
        yield path.read_bytes()
        yield from _texts(_includes(statements.text_of(path), statements.shown(path)), seen)


def _includes(text: str, origin: str) -> Iterator[str]:
    """Yield the names of the files that gin text includes."""
    for statement in statements.parsed(text, origin):
        if isinstance(statement, config_parser.IncludeStatement):
            yield statement.filename
