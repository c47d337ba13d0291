"""Finds mistakes in gin files and bindings before TensorFlow is loaded.

gin itself reports an unknown configurable or parameter only after the modules that define them are
imported, and a misspelt macro (`d_modle = 64`) not at all. This reads the same files with gin's
own parser, which is plain Python, and compares the names with `configurables`.
"""

from collections.abc import Iterable, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import configurables
from mtf_synthesizer.config.lint import values as binding_values
from mtf_synthesizer.config.statements import (
    OPERATIVE,
    Macro,
    Reference,
    Statement,
    read,
    read_files,
    values,
)

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
      errors.UserError: for a missing file, a syntax error, an unknown configurable or parameter,
        a macro that is used and never set, or one set by a parameter and never used.
    """
    statements = list(read_files([str(gin_files.mesh_defaults()), *files]))
    bindings = [s for param in params for s in read(param, f"--gin_param {param!r}", False)]
    _check_macros(statements, bindings)
    statements += bindings
    _check_scopes(statements)
    imported = [s.selector for s in statements if s.is_import] + list(modules)
    # Where a module may define anything, what is unknown is left to gin.
    known, complete = configurables.known(imported)
    skipped = DEPRECATED | set(allowed_unknown)
    for statement in statements:
        if not statement.trusted and not statement.is_import:
            _check_names(statement, known, skipped, complete)
            _check_value(statement)


def _check_macros(in_files: list[Statement], in_params: list[Statement]) -> None:
    """Macros must be set where they are used, and known if they are set on the command line."""
    every = in_files + in_params
    is_macro = {s.selector for s in every if not s.parameter and not s.is_import}
    used = {value.name: s for s in every for value in values(s.value) if isinstance(value, Macro)}
    # One that a file sets is no misspelling: not every row of an experiment has a use for it.
    known = used.keys() | {s.selector for s in in_files if not s.parameter and not s.is_import}
    for s in in_params:
        if not s.parameter and not s.is_import and s.selector not in known:
            raise errors.UserError(
                f"{s.origin}: no gin file uses a macro {s.selector!r}."
                f"{errors.suggestion(s.selector, known)} A parameter of a function or class is "
                "bound as name.parameter = value"
            )
    for name, s in used.items():
        if name not in is_macro and not s.trusted and "." not in name:
            raise errors.UserError(
                f"{s.origin}: the macro %{name} is never set.{errors.suggestion(name, is_macro)}"
            )


def _check_scopes(statements: list[Statement]) -> None:
    """A change to a finished run has no effect where the run binds the parameter in every scope.

    Its configuration has encoder/Random.initial_scale and decoder/Random.initial_scale, over
    which Random.initial_scale does not win.
    """
    of_run = [s for s in statements if s.trusted and OPERATIVE in s.origin and s.parameter]
    bound = {(s.scope, s.selector.rpartition(".")[2], s.parameter) for s in of_run}
    for s in statements:
        if s.trusted or s.scope or not s.parameter or _is_of_package(s.origin):
            continue
        name = s.selector.rpartition(".")[2]
        scopes = sorted(scope for scope, *rest in bound if scope and rest == [name, s.parameter])
        if scopes and ("", name, s.parameter) not in bound:
            wanted = " and ".join(f"{scope}/{name}.{s.parameter}" for scope in scopes)
            raise errors.UserError(
                f"{s.origin}: {name}.{s.parameter} has no effect, because the run that it changes "
                f"binds it in scopes: bind {wanted} instead"
            )


def _is_of_package(origin: str) -> bool:
    """Whether a statement stands in a file of this package: it does not mean to change a run."""
    return (gin_files.gin_folder() / origin.partition(":")[0]).is_file()


def _check_value(statement: Statement) -> None:
    """A literal must be of the right kind; a user's own functions may want others."""
    if any(isinstance(value, Reference | Macro) for value in values(statement.value)):
        return
    if not statement.parameter:
        binding_values.check(statement.origin, statement.selector, statement.value)
    elif any(c.matches(statement.selector) for c in configurables.of_packages()):
        binding_values.check(statement.origin, statement.parameter, statement.value)


def _check_names(
    statement: Statement,
    known: list[configurables.Configurable],
    skipped: set[str] | frozenset[str],
    complete: bool,
) -> None:
    """The configurable, its parameter and the references in the value must exist."""
    selectors = [v.selector for v in values(statement.value) if isinstance(v, Reference)]
    if statement.parameter:
        selectors.append(statement.selector)
    for selector in selectors:
        name = selector.rpartition(".")[2]
        if name in skipped or selector in skipped or selector.startswith("tf."):
            continue
        if complete and not any(c.matches(selector) for c in known):
            raise errors.UserError(
                f"{statement.origin}: unknown configurable {selector!r}."
                f"{errors.suggestion(name, {c.name for c in known})} One of your own: "
                "--module_import the module that defines it"
            )
    if not statement.parameter:
        return
    matching = [c.parameters for c in known if c.matches(statement.selector)]
    allowed = frozenset[str]().union(*(parameters or () for parameters in matching))
    if matching and None not in matching and statement.parameter not in allowed:
        raise errors.UserError(
            f"{statement.origin}: {statement.selector} has no parameter {statement.parameter!r}."
            f"{errors.suggestion(statement.parameter, allowed)} "
            f"Parameters: {', '.join(sorted(allowed)) or 'none'}"
        )
