"""Final values of bindings as far as literals determine them; no TensorFlow needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.config.statements import Macro, Reference, Statement


class BoundValues:
    """Bindings and macros of a configuration; later ones win, in any scope.

    Args:
      files, params: as on the command line; Mesh's defaults come first.
    """

    def __init__(self, files: Sequence[str], params: Sequence[str]):
        parsed = statements.statements([str(gin_files.mesh_defaults()), *files], params)
        self._bound = [s for s in parsed if s.parameter]
        self._macros = {s.selector: s.value for s in parsed if not s.parameter and not s.is_import}

    def statement(self, function: str, parameter: str) -> Statement | None:
        """Return the last statement that binds a parameter of a function or class."""
        matches = [s for s in self._bound if s.parameter == parameter]
        matches = [s for s in matches if last_part(s.selector) == function]
        return matches[-1] if matches else None

    def value(self, function: str, parameter: str) -> Any:
        """Return the bound value with macros replaced by their values; None if unbound."""
        statement = self.statement(function, parameter)
        return None if statement is None else self._resolved(statement.value)

    def macro(self, name: str) -> Any:
        """Return the value of a macro; None if it is not bound."""
        return self._resolved(Macro(name))

    def within(self, scope: str) -> BoundValues:
        """Return the values in a gin scope: its bindings win, other scopes do not count."""
        view = copy.copy(self)
        visible = [s for s in self._bound if s.scope in ("", scope)]
        view._bound = sorted(visible, key=lambda s: s.scope == scope)
        return view

    def used(self, function: str) -> set[str]:
        """Return the names that a function's parameters refer to, directly or indirectly.

        References in another scope (`@long/Random()`) are left out: other bindings hold there.
        """
        names: set[str] = set()
        waiting = [function]
        while waiting:
            new = self._referred(waiting.pop()) - names
            names |= new
            waiting += new
        return names

    def _referred(self, function: str) -> set[str]:
        of_function = [s for s in self._bound if last_part(s.selector) == function]
        values = {s.parameter: s.value for s in of_function}.values()
        parts = (part for value in values for part in _flat(self._resolved(value)))
        references = [part for part in parts if isinstance(part, Reference)]
        return {last_part(part.selector) for part in references if not part.scope}

    def layers(self) -> set[str]:
        """Return the names of the layers in all layer stacks."""
        lists = {s.scope: s for s in self._bound if s.parameter == "layers"}
        return {
            last_part(part.selector)
            for statement in lists.values()
            for part in _flat(self._resolved(statement.value))
            if isinstance(part, Reference)
        }

    def _resolved(self, value: Any, within: tuple[str, ...] = ()) -> Any:
        """Replace the macros in a value; `within` lists the macros around it, outermost first.

        Raises:
          errors.UserError: a macro refers to itself.
        """
        if isinstance(value, Macro):
            macros = (*within, value.name)
            if value.name in within:
                chain = " = ".join(f"%{macro}" for macro in macros)
                raise errors.UserError(
                    f"the macro %{value.name} refers to itself: {chain}. Bind one of these macros "
                    "to a value"
                )
            return self._resolved(self._macros.get(value.name), macros)
        if isinstance(value, list | tuple):
            return type(value)(self._resolved(item, within) for item in value)
        if isinstance(value, dict):
            return {key: self._resolved(item, within) for key, item in value.items()}
        return value


def last_part(selector: str) -> str:
    """Return the name of a function or class without its modules."""
    return selector.rpartition(".")[2]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value
