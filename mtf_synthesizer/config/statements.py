"""Statements of gin files and bindings, read without running any of them."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gin import config_parser

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.files import paths

# The configuration file that a run writes into its folder.
OPERATIVE = "operative_config.gin"


@dataclasses.dataclass(frozen=True)
class Reference:
    """A reference `@selector` or `@scope/selector` in a value; evaluated: `@selector()`."""

    selector: str
    scope: str = ""
    evaluated: bool = False


@dataclasses.dataclass(frozen=True)
class Macro:
    """A macro `%name` in a value."""

    name: str


@dataclasses.dataclass(frozen=True)
class Statement:
    """One binding (`selector.parameter = value`), macro (`selector = value`) or import.

    Attributes:
      origin: file and line, or flag, as shown to the user.
      trusted: whether T5, Mesh or a finished run wrote the statement, which is then not checked.
      scope: gin scope of a binding, "" for none.
      selector: name of a function, class, macro or module.
      parameter: bound parameter, "" for a macro or import.
      value: bound value, with `Reference` and `Macro` inside.
      is_import: whether the statement imports a module.
    """

    origin: str
    trusted: bool
    scope: str
    selector: str
    parameter: str
    value: Any
    is_import: bool = False


class _Delegate(config_parser.ParserDelegate):
    """Parser delegate that keeps references and macros as names."""

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        scope, _, selector = scoped_configurable_name.rpartition("/")
        return Reference(selector, scope, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def macro(name: str, files: Sequence[str], params: Sequence[str]) -> Any:
    """Return the final value of a macro; None if the macro is never set.

    Raises:
      errors.UserError: a file is missing, or a syntax error.
    """
    parsed = statements(files, params)
    values = [
        statement.value
        for statement in parsed
        if not statement.parameter and statement.selector == name
    ]
    return values[-1] if values else None


def statements(files: Sequence[str], params: Sequence[str]) -> list[Statement]:
    """Return all statements of a configuration in parsing order: later ones win.

    Raises:
      errors.UserError: a file is missing, or a syntax error.
    """
    return [
        *read_files(files),
        *(
            statement
            for param in params
            for statement in read(param, f"--gin_param {param!r}", False)
        ),
    ]


def read_files(files: Iterable[str], including: tuple[paths.Path, ...] = ()) -> Iterator[Statement]:
    """Yield the statements of gin files and of the files they include.

    Args:
      files: names of gin files.
      including: the files around these, outermost first.

    Raises:
      errors.UserError: a file is missing, includes itself, or has a syntax error.
    """
    libraries = [gin_files.mesh_defaults().parent, gin_files.search_path()[0]]
    for name in files:
        path = gin_files.find_gin_file(name)
        if path in including:
            chain = " > ".join(shown(file) for file in (*including, path))
            raise errors.UserError(f"gin file {shown(path)} includes itself: {chain}")
        # gin parsed and checked the configuration of a run when the run began.
        trusted = path.name == OPERATIVE or any(library in path.parents for library in libraries)
        yield from read(text_of(path), shown(path), trusted, (*including, path))


def text_of(path: paths.Path) -> str:
    """Return the text of a gin file.

    Raises:
      errors.UserError: the text is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise errors.UserError(f"gin file {path}: not UTF-8 text ({error.reason})") from error


def shown(path: paths.Path) -> str:
    """Return a path as the user would type it: relative to its folder on the search path."""
    for folder in gin_files.search_path():
        if folder in path.parents:
            return path.relative_to(folder).as_posix()
    return str(path)


def read(
    text: str, origin: str, trusted: bool, including: tuple[paths.Path, ...] = ()
) -> Iterator[Statement]:
    """Parse gin text and follow its includes."""
    for statement in parsed(text, origin):
        if isinstance(statement, config_parser.IncludeStatement):
            yield from read_files([statement.filename], including)
        elif isinstance(statement, config_parser.ImportStatement):
            yield Statement(origin, trusted, "", statement.module, "", None, is_import=True)
        elif isinstance(statement, config_parser.BindingStatement):
            yield _binding(statement, origin, trusted)


def parsed(text: str, origin: str) -> list[Any]:
    """Return the statements of gin text, as gin's own parser represents them.

    References and macros are `Reference` and `Macro`; nothing is looked up, included or imported.

    Raises:
      errors.UserError: the text has a syntax error.
    """
    try:
        return list(config_parser.ConfigParser(text, _Delegate()))
    except Exception as error:  # the parser and Python's tokenizer raise many classes
        raise errors.UserError(f"{origin}: not valid gin syntax: {_one_line(error)}") from error


def _binding(binding: config_parser.BindingStatement, origin: str, trusted: bool) -> Statement:
    scope, selector = binding.scope, binding.selector
    if scope and not binding.arg_name:  # a macro's scope is part of its name
        scope, selector = "", f"{scope}/{selector}"
    line = "" if origin.startswith("--") else f":{binding.location.line_num}"
    return Statement(
        origin + line, trusted, scope or "", selector, binding.arg_name or "", binding.value
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def values(value: Any) -> Iterator[Any]:
    """Yield the references, macros and literals inside a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from values(key)
            yield from values(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from values(item)
    else:
        yield value
