"""Gin files that somebody else wrote, checked before anything in them is executed.

gin imports every module that a file names, and with dynamic registration it calls any function of
Python. A gin file of a model folder or of a URL is data: it may import and configure the packages
below and the modules that the command names, and include files of its folder and of the packages.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gin import config_parser

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.config.lint import configurables
from mtf_synthesizer.config.lint.names import DEPRECATED
from mtf_synthesizer.config.statements import OPERATIVE, Reference
from mtf_synthesizer.files import paths

PACKAGES = ("t5", "mesh_tensorflow", "seqio", "gin", "mtf_synthesizer")
_OF_GIN = ("gin.macro", "gin.constant", "gin.singleton", "gin.tf.utils.singleton_per_graph")
_NOT_TRUSTED = "a gin file of a model folder or URL"


class TrustedReader:
    """Reader of gin files that refuses forbidden statements of model folders and URLs.

    Args:
      modules: as `--module_import`; they and their submodules are trusted.
      allowed_unknown: configurables that gin skips where they are unknown; None for all.
    """

    def __init__(self, modules: Sequence[str], allowed_unknown: Iterable[str] | None = ()):
        self._modules = tuple(modules)
        self._skipped = None if allowed_unknown is None else DEPRECATED.union(allowed_unknown)

    def check(self, files: Sequence[str], params: Sequence[str] = ()) -> None:
        """Read a configuration given as on the command line, and all that it includes.

        Raises:
          errors.UserError: a missing file, a syntax error, or something that is not trusted.
        """
        seen: set[tuple[str, str]] = set()
        for name in files:
            self._follow(gin_files.find_gin_file(name), None, name, seen)
        for param in params:
            origin = f"--gin_param {param!r}"
            self._follow_includes(statements.parsed(param, origin), None, origin, seen)

    def _follow(
        self, path: paths.Path, within: paths.Path | None, where: str, seen: set[tuple[str, str]]
    ) -> None:
        text, folder = self.read(path, within, where)
        if (str(path), str(folder)) not in seen:
            seen.add((str(path), str(folder)))
            origin = statements.shown(path)
            self._follow_includes(statements.parsed(text, origin), folder, origin, seen)

    def _follow_includes(
        self,
        parsed: Sequence[Any],
        folder: paths.Path | None,
        origin: str,
        seen: set[tuple[str, str]],
    ) -> None:
        for statement in parsed:
            if isinstance(statement, config_parser.IncludeStatement):
                where = f"{origin}:{statement.location.line_num}"
                if folder is not None and paths.is_remote(statement.filename):
                    # Looking for the file would already load TensorFlow and use the network.
                    _check_place(paths.of(statement.filename), folder, where)
                self._follow(gin_files.find_gin_file(statement.filename), folder, where, seen)

    def read(
        self, path: paths.Path, within: paths.Path | None, where: str
    ) -> tuple[str, paths.Path | None]:
        """Read one file.

        Args:
          path: the file.
          within: the folder of the file that includes this one, if that file is not trusted.
          where: the place that names the file, for messages.

        Returns:
          The text, and the `within` of the files that this one includes.

        Raises:
          errors.UserError: the file is not UTF-8, or holds something that is not trusted.
        """
        if within is not None:
            _check_place(path, within, where)
        text = statements.text_of(path)
        if _is_of_package(path):
            return text, within
        folder = within if within is not None else _model_folder(path)
        if folder is not None:
            self._check_text(text, statements.shown(path))
        return text, folder

    def _check_text(self, text: str, origin: str) -> None:
        for statement in statements.parsed(text, origin):
            where = f"{origin}:{statement.location.line_num}"
            if isinstance(statement, config_parser.ImportStatement):
                self._check_import(statement.module, where)
            for selector in _selectors(statement):
                self._check_selector(selector, where)

    def _check_import(self, module: str, where: str) -> None:
        if module.partition(".")[0] == "__gin__":
            raise errors.UserError(
                f"{where}: {_NOT_TRUSTED} may not use {module}, which calls any function of "
                "Python. Register your functions with @gin.configurable in a module, and give "
                "--module_import that module"
            )
        named = (*PACKAGES, *self._modules)
        is_below = any(f"{module}.".startswith(f"{name}.") for name in named)
        if not is_below and not any(name.startswith(f"{module}.") for name in self._modules):
            raise errors.UserError(
                f"{where}: {_NOT_TRUSTED} imports {module}, which this command does not name. If "
                f"you trust the module, give --module_import {module}"
            )

    def _check_selector(self, selector: str, where: str) -> None:
        name = selector.rpartition(".")[2]
        if self._skipped is None or not self._skipped.isdisjoint((name, selector)):
            return
        if any(f".{builtin}".endswith(f".{selector}") for builtin in _OF_GIN):
            return
        known, complete = self._known
        # gin's own registrations of TensorFlow, whose names it has with this prefix only.
        if selector.startswith("tf.") or any(c.matches(selector) for c in known):
            return
        if complete:
            raise errors.UserError(
                f"{where}: {_NOT_TRUSTED} configures {selector}, which neither the packages nor "
                "the modules of this command define."
                f"{errors.suggestion(name, {c.name for c in known})} If you trust the "
                "module that defines it, give --module_import MODULE"
            )

    @functools.cached_property
    def _known(self) -> tuple[list[configurables.Configurable], bool]:
        return configurables.known(self._modules)


def _selectors(statement: Any) -> Iterator[str]:
    """Yield the selectors that a statement configures or refers to; a macro is only a name."""
    if isinstance(statement, config_parser.BlockDeclaration):
        yield statement.selector
    elif isinstance(statement, config_parser.BindingStatement):
        if statement.arg_name:
            yield statement.selector
        for value in statements.values(statement.value):
            if isinstance(value, Reference):
                yield value.selector


def _check_place(path: paths.Path, folder: paths.Path, where: str) -> None:
    """Raise a UserError unless an untrusted file may include this file."""
    if not _is_of_package(path) and not _is_below(path, folder):
        raise errors.UserError(
            f"{where}: {_NOT_TRUSTED} includes {path}, which lies neither in {folder} nor in T5, "
            "Mesh-TensorFlow or this package. If you trust the file, remove this line and give "
            f"--gin_file {path}"
        )


def _is_of_package(path: paths.Path) -> bool:
    folders = (gin_files.search_path()[0], gin_files.mesh_defaults().parent, gin_files.gin_folder())
    return any(_is_below(path, folder) for folder in folders)


def _is_below(path: paths.Path, folder: paths.Path) -> bool:
    """Return whether a file lies in a folder after links and `..` are resolved."""
    if paths.is_remote(path) or paths.is_remote(folder):
        return ".." not in str(path).split("/") and folder in path.parents
    return folder.resolve() in path.resolve().parents


def _model_folder(path: paths.Path) -> paths.Path | None:
    """Return the model folder or URL of a file; None for a user's own file."""
    if paths.is_remote(path):
        return path.parent
    # A link in a model folder belongs to the folder, and so does a file that a link leads to.
    for folder in (*path.absolute().parents, *path.resolve().parents):
        if (folder / OPERATIVE).is_file():
            return folder
    return None
