"""Final bindings of gin files, and the differences of two configurations; no TensorFlow needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtf_synthesizer.config import statements
from mtf_synthesizer.config.statements import Macro, Reference
from mtf_synthesizer.config.values import last_part
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.folder import ModelFolder

# Fields of run.json that are not bindings.
_RECORDED = ("synthesizer", "size", "run", "experiment", "seed", "matmul_precision")
MISSING = "(not bound)"


def final(files: Sequence[str]) -> dict[str, str]:
    """Return name -> value of every binding and macro, as text; later statements win.

    A binding is named as scope/Function.parameter, without modules.

    Raises:
      errors.UserError: a file is missing, or has a syntax error.
    """
    parsed = [s for s in statements.statements(files, []) if not s.is_import]
    macros = {s.selector: s.value for s in parsed if not s.parameter}
    bindings = {}
    for statement in parsed:
        scope = f"{statement.scope}/" if statement.scope else ""
        parameter = f".{statement.parameter}" if statement.parameter else ""
        name = last_part(statement.selector) if statement.parameter else statement.selector
        bindings[f"{scope}{name}{parameter}"] = shown(_resolved(statement.value, macros))
    return dict(sorted(bindings.items()))


def _resolved(value: Any, macros: Mapping[str, Any], depth: int = 0) -> Any:
    """Replace macros by their values; a macro that nothing sets, or a circle, stays."""
    if isinstance(value, Macro) and value.name in macros and depth < len(macros):
        return _resolved(macros[value.name], macros, depth + 1)
    if isinstance(value, list | tuple):
        return type(value)(_resolved(item, macros, depth) for item in value)
    if isinstance(value, dict):
        return {name: _resolved(item, macros, depth) for name, item in value.items()}
    return value


def shown(value: Any) -> str:
    """Return a value as gin writes it."""
    if isinstance(value, Reference):
        return f"@{value.scope}/{value.selector}" if value.scope else f"@{value.selector}"
    if isinstance(value, Macro):
        return f"%{value.name}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(shown, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{shown(k)}: {shown(v)}' for k, v in value.items())}}}"
    return repr(value)


def of_place(place: str) -> dict[str, str]:
    """Return the bindings of a model folder, with fields of its run, or of a gin file.

    Raises:
      errors.UserError: the place is neither, or can't be read.
    """
    if not paths.of(place).is_dir():
        return final([place])
    folder = ModelFolder.at(place)
    record = folder.request or {}
    of_run = {
        f"run.json: {name}": repr(record[name])
        for name in _RECORDED
        if record.get(name) is not None
    }
    return {**of_run, **final([str(folder.operative_config)])}


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return name -> both values of everything that differs, in the order of names."""
    names = sorted({*first, *second}, key=lambda name: (not name.startswith("run.json"), name))
    pairs = {name: (first.get(name, MISSING), second.get(name, MISSING)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
