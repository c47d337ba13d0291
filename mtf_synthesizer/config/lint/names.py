"""Search for mistakes in gin files and bindings before TensorFlow is loaded.

gin reports an unknown configurable or parameter only after it has imported the modules that define
them, and a misspelt macro (`d_modle = 64`) not at all. This module reads the same files with gin's
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

# Skipped as by T5's entry point, because files of the first T5 releases still bind them.
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
    """Check a configuration given as on the command line.

    Args:
      files: gin files, as `--gin_file`.
      params: bindings, as `--gin_param`.
      modules: modules that are imported besides those the files import.
      allowed_unknown: further names to accept.

    Raises:
      errors.UserError: a missing file, a syntax error, an unknown configurable or parameter, a
        macro that is used but never set, or a macro set by a parameter but never used.
    """
    statements = list(read_files([str(gin_files.mesh_defaults()), *files]))
    bindings = [s for param in params for s in read(param, f"--gin_param {param!r}", False)]
    _check_macros(statements, bindings)
    statements += bindings
    _check_scopes(statements)
    imported = [s.selector for s in statements if s.is_import] + list(modules)
    # An unreadable module may define anything, so gin checks unknown names instead.
    known, complete = configurables.known(imported)
    skipped = DEPRECATED | set(allowed_unknown)
    for statement in statements:
        if not statement.trusted and not statement.is_import:
            _check_names(statement, known, skipped, complete)
            _check_value(statement)


def _check_macros(in_files: list[Statement], in_params: list[Statement]) -> None:
    """Check that used macros are set, and that macros set on the command line are known."""
    all_statements = in_files + in_params
    is_macro = {
        statement.selector
        for statement in all_statements
        if not statement.parameter and not statement.is_import
    }
    used = {
        value.name: statement
        for statement in all_statements
        for value in values(statement.value)
        if isinstance(value, Macro)
    }
    # A macro that a file sets is not a misspelling: some rows of an experiment do not use it.
    known = used.keys() | {
        statement.selector
        for statement in in_files
        if not statement.parameter and not statement.is_import
    }
    for statement in in_params:
        is_macro_statement = not statement.parameter and not statement.is_import
        if is_macro_statement and statement.selector not in known:
            raise errors.UserError(
                f"{statement.origin}: no gin file uses a macro {statement.selector!r}."
                f"{errors.suggestion(statement.selector, known)} Bind a parameter of a function "
                "or class as name.parameter = value"
            )
    for name, statement in used.items():
        if name not in is_macro and not statement.trusted and "." not in name:
            raise errors.UserError(
                f"{statement.origin}: the macro %{name} is never set."
                f"{errors.suggestion(name, is_macro)}"
            )


def _check_scopes(statements: list[Statement]) -> None:
    """Check that a change to a finished run is not overridden by a scoped binding of the run.

    A run's configuration binds encoder/Random.initial_scale and decoder/Random.initial_scale,
    which win over an unscoped Random.initial_scale.
    """
    of_run = [
        statement
        for statement in statements
        if statement.trusted and OPERATIVE in statement.origin and statement.parameter
    ]
    bound = {
        (statement.scope, statement.selector.rpartition(".")[2], statement.parameter)
        for statement in of_run
    }
    for statement in statements:
        if (
            statement.trusted
            or statement.scope
            or not statement.parameter
            or _is_of_package(statement.origin)
        ):
            continue
        name = statement.selector.rpartition(".")[2]
        scopes = sorted(
            scope for scope, *rest in bound if scope and rest == [name, statement.parameter]
        )
        if scopes and ("", name, statement.parameter) not in bound:
            bindings = " and ".join(f"{scope}/{name}.{statement.parameter}" for scope in scopes)
            raise errors.UserError(
                f"{statement.origin}: {name}.{statement.parameter} has no effect, because the "
                f"trained run binds it in scopes. Bind {bindings} instead"
            )


def _is_of_package(origin: str) -> bool:
    """Return whether a statement is in a file of this package, which never changes a run."""
    return (gin_files.gin_folder() / origin.partition(":")[0]).is_file()


def _check_value(statement: Statement) -> None:
    """Check the kind of a literal; a user's own functions may take other values."""
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
    """Check that the configurable, its parameter and the references in the value exist."""
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
                f"{errors.suggestion(name, {c.name for c in known})} For your own configurable "
                "give --module_import with the module that defines it"
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
