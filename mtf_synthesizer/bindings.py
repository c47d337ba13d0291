"""Finds mistakes in gin files and bindings before TensorFlow is loaded.

gin itself reports an unknown configurable or parameter only after the modules that define them are
imported, and a misspelt macro (`d_modle = 64`) not at all. This reads the same files with gin's
own parser, which is plain Python, and compares the names with `configurables`.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gin import config_parser

from mtf_synthesizer import binding_values, configurables, names, paths

# What T5's entry point skips because files of the first T5 releases still bind it.
DEPRECATED = frozenset(
    {
        "configurable_vocabulary",
        "get_sentencepiece_model_path",
        "maybe_print_dataset",
        "num_parallel_calls",
        "SentencePieceVocabulary",
        "train_model",
        "Vocabulary",
    }
)
# The configuration that a run leaves in its folder.
_OPERATIVE = "operative_config.gin"


@dataclasses.dataclass(frozen=True)
class Reference:
    """`@selector` or `@scope/selector` in a value."""

    selector: str
    scope: str = ""


@dataclasses.dataclass(frozen=True)
class Macro:
    """`%name` in a value."""

    name: str


@dataclasses.dataclass(frozen=True)
class Statement:
    """One binding (`selector.parameter = value`), macro (`selector = value`) or import.

    Attributes:
      origin: where it stands, as shown to the user.
      trusted: whether it comes from T5, Mesh or a finished run, so that nothing is to be checked.
    """

    origin: str
    trusted: bool
    scope: str
    selector: str
    parameter: str
    value: Any
    is_import: bool = False


class _Delegate(config_parser.ParserDelegate):
    """Keeps references and macros as names instead of looking them up."""

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        scope, _, selector = scoped_configurable_name.rpartition("/")
        return Reference(selector, scope)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def check(
    files: Sequence[str],
    params: Sequence[str],
    modules: Iterable[str] = (),
    allowed_unknown: Iterable[str] = (),
) -> None:
    """Checks a configuration given as on the command line.

    Args:
      files: gin files, as `--gin_file`.
      params: bindings, as `--gin_param`.
      modules: modules that are imported besides those the files import.
      allowed_unknown: further names not to complain about.

    Raises:
      names.UserError: for a missing file, a syntax error, an unknown configurable or parameter,
        a macro that is used and never set, or one set by a parameter and never used.
    """
    statements = list(_read_files([str(names.mesh_defaults()), *files]))
    bindings = [s for param in params for s in _read(param, f"--gin_param {param!r}", False)]
    _check_macros(statements, bindings)
    statements += bindings
    _check_scopes(statements)
    imported = [s.selector for s in statements if s.is_import] + list(modules)
    others = [name for name in imported if not _is_scanned(name)]
    known = [*_scanned(), *configurables.scan(others)]
    # A module that can't be read may define anything: leave what is unknown to gin.
    complete = all(configurables.source_of(name) for name in others)
    skipped = DEPRECATED | set(allowed_unknown)
    for statement in statements:
        if not statement.trusted and not statement.is_import:
            _check_names(statement, known, skipped, complete)
            _check_value(statement)


def macro(name: str, files: Sequence[str], params: Sequence[str]) -> Any:
    """The value that a macro has in the end; None if it is never set.

    Raises:
      names.UserError: for a missing file or a syntax error.
    """
    found = statements(files, params)
    values = [s.value for s in found if not s.parameter and s.selector == name]
    return values[-1] if values else None


def statements(files: Sequence[str], params: Sequence[str]) -> list[Statement]:
    """All of a configuration, in the order they are parsed: later ones win.

    Raises:
      names.UserError: for a missing file or a syntax error.
    """
    return [
        *_read_files(files),
        *(s for p in params for s in _read(p, f"--gin_param {p!r}", False)),
    ]


@functools.cache
def _scanned() -> list[configurables.Configurable]:
    return configurables.scan(configurables.SCANNED)


def _is_scanned(module: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in configurables.SCANNED)


def _read_files(
    files: Iterable[str], including: tuple[paths.Path, ...] = ()
) -> Iterator[Statement]:
    libraries = [names.mesh_defaults().parent, names.search_path()[0]]
    for name in files:
        path = names.find_gin_file(name)
        if path in including:
            way = " > ".join(_shown(each) for each in (*including, path))
            raise names.UserError(f"gin file {_shown(path)} includes itself: {way}")
        # What a run has written was parsed and checked by gin before.
        trusted = path.name == _OPERATIVE or any(library in path.parents for library in libraries)
        yield from _read(_text(path), _shown(path), trusted, (*including, path))


def _text(path: paths.Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise names.UserError(f"gin file {path}: not UTF-8 text ({error.reason})") from error


def _shown(path: paths.Path) -> str:
    """A path as the user would type it: relative to the folder it was found in."""
    for folder in names.search_path():
        if folder in path.parents:
            return path.relative_to(folder).as_posix()
    return str(path)


def _read(
    text: str, origin: str, trusted: bool, including: tuple[paths.Path, ...] = ()
) -> Iterator[Statement]:
    """Parses gin text, following its includes."""
    for parsed in _parsed(text, origin):
        if isinstance(parsed, config_parser.IncludeStatement):
            yield from _read_files([parsed.filename], including)
        elif isinstance(parsed, config_parser.ImportStatement):
            yield Statement(origin, trusted, "", parsed.module, "", None, is_import=True)
        elif isinstance(parsed, config_parser.BindingStatement):
            yield _binding(parsed, origin, trusted)


def _parsed(text: str, origin: str) -> list[Any]:
    """The statements of gin text, as gin's own parser has them."""
    try:
        return list(config_parser.ConfigParser(text, _Delegate()))
    except Exception as error:  # of the parser or Python's tokenizer: whatever they run into
        raise names.UserError(f"{origin}: not valid gin syntax: {_one_line(error)}") from error


def _binding(parsed: config_parser.BindingStatement, origin: str, trusted: bool) -> Statement:
    scope, selector = parsed.scope, parsed.selector
    if scope and not parsed.arg_name:  # a macro's scope is part of its name
        scope, selector = "", f"{scope}/{selector}"
    line = "" if origin.startswith("--") else f":{parsed.location.line_num}"
    return Statement(
        origin + line, trusted, scope or "", selector, parsed.arg_name or "", parsed.value
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _values(value: Any) -> Iterator[Any]:
    """The references, macros and literals inside a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(key)
            yield from _values(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _values(item)
    else:
        yield value


def _check_macros(in_files: list[Statement], in_params: list[Statement]) -> None:
    """Macros must be set where they are used, and known if they are set on the command line."""
    every = in_files + in_params
    is_macro = {s.selector for s in every if not s.parameter and not s.is_import}
    used = {value.name: s for s in every for value in _values(s.value) if isinstance(value, Macro)}
    # One that a file sets is no misspelling: not every row of an experiment has a use for it.
    known = used.keys() | {s.selector for s in in_files if not s.parameter and not s.is_import}
    for s in in_params:
        if not s.parameter and not s.is_import and s.selector not in known:
            raise names.UserError(
                f"{s.origin}: no gin file uses a macro {s.selector!r}."
                f"{names.suggestion(s.selector, known)} A parameter of a function or class is "
                "bound as name.parameter = value"
            )
    for name, s in used.items():
        if name not in is_macro and not s.trusted and "." not in name:
            raise names.UserError(
                f"{s.origin}: the macro %{name} is never set.{names.suggestion(name, is_macro)}"
            )


def _check_scopes(statements: list[Statement]) -> None:
    """A change to a finished run has no effect where the run binds the parameter in every scope.

    Its configuration has encoder/Random.initial_scale and decoder/Random.initial_scale, over
    which Random.initial_scale does not win.
    """
    of_run = [s for s in statements if s.trusted and _OPERATIVE in s.origin and s.parameter]
    bound = {(s.scope, s.selector.rpartition(".")[2], s.parameter) for s in of_run}
    for s in statements:
        if s.trusted or s.scope or not s.parameter or _is_of_package(s.origin):
            continue
        name = s.selector.rpartition(".")[2]
        scopes = sorted(scope for scope, *rest in bound if scope and rest == [name, s.parameter])
        if scopes and ("", name, s.parameter) not in bound:
            wanted = " and ".join(f"{scope}/{name}.{s.parameter}" for scope in scopes)
            raise names.UserError(
                f"{s.origin}: {name}.{s.parameter} has no effect, because the run that it changes "
                f"binds it in scopes: bind {wanted} instead"
            )


def _is_of_package(origin: str) -> bool:
    """Whether a statement stands in a file of this package: it does not mean to change a run."""
    return (names.gin_folder() / origin.partition(":")[0]).is_file()


def _check_value(statement: Statement) -> None:
    """A literal must be of the right kind; a user's own functions may want others."""
    if any(isinstance(value, Reference | Macro) for value in _values(statement.value)):
        return
    if not statement.parameter:
        binding_values.check(statement.origin, statement.selector, statement.value)
    elif any(c.matches(statement.selector) for c in _scanned()):
        binding_values.check(statement.origin, statement.parameter, statement.value)


def _check_names(
    statement: Statement,
    known: list[configurables.Configurable],
    skipped: set[str] | frozenset[str],
    complete: bool,
) -> None:
    """The configurable, its parameter and the references in the value must exist."""
    selectors = [v.selector for v in _values(statement.value) if isinstance(v, Reference)]
    if statement.parameter:
        selectors.append(statement.selector)
    for selector in selectors:
        name = selector.rpartition(".")[2]
        if name in skipped or selector in skipped or selector.startswith("tf."):
            continue
        if complete and not any(c.matches(selector) for c in known):
            raise names.UserError(
                f"{statement.origin}: unknown configurable {selector!r}."
                f"{names.suggestion(name, {c.name for c in known})} One of your own: "
                "--module_import the module that defines it"
            )
    if not statement.parameter:
        return
    matching = [c.parameters for c in known if c.matches(statement.selector)]
    allowed = frozenset[str]().union(*(parameters or () for parameters in matching))
    if matching and None not in matching and statement.parameter not in allowed:
        raise names.UserError(
            f"{statement.origin}: {statement.selector} has no parameter {statement.parameter!r}."
            f"{names.suggestion(statement.parameter, allowed)} "
            f"Parameters: {', '.join(sorted(allowed)) or 'none'}"
        )
