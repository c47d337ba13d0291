"""What the bindings of a configuration come to, as far as literals say it; no TensorFlow."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.config.statements import Macro, Reference, Statement


class BoundValues:
    """Bindings and macros of a configuration, later ones winning, whatever their scope.

    Args:
      files, params: as on the command line; Mesh's defaults come before them.
    """

    def __init__(self, files: Sequence[str], params: Sequence[str]):
        found = statements.statements([str(gin_files.mesh_defaults()), *files], params)
        self._bound = [s for s in found if s.parameter]
        self._macros = {s.selector: s.value for s in found if not s.parameter and not s.is_import}

    def statement(self, function: str, parameter: str) -> Statement | None:
        """The last one that binds a parameter of a function or class."""
        found = [s for s in self._bound if s.parameter == parameter]
        found = [s for s in found if last_part(s.selector) == function]
        return found[-1] if found else None

    def value(self, function: str, parameter: str) -> Any:
        """Its value, where macros are replaced by what they stand for; None if there is none."""
        statement = self.statement(function, parameter)
        return None if statement is None else self._resolved(statement.value)

    def within(self, scope: str) -> BoundValues:
        """What holds in a gin scope: its own bindings win, those of other scopes are left out."""
        inside = copy.copy(self)
        found = [s for s in self._bound if s.scope in ("", scope)]
        inside._bound = sorted(found, key=lambda s: s.scope == scope)
        return inside

    def used(self, function: str) -> set[str]:
        """Names of what the parameters of a function or class refer to, and what those do.

        Without what they refer to in another scope (`@long/Random()`), where other bindings hold.
        """
        found: set[str] = set()
        waiting = [function]
        while waiting:
            new = self._referred(waiting.pop()) - found
            found |= new
            waiting += new
        return found

    def _referred(self, function: str) -> set[str]:
        of_function = [s for s in self._bound if last_part(s.selector) == function]
        values = {s.parameter: s.value for s in of_function}.values()
        each = (each for value in values for each in _flat(self._resolved(value)))
        references = [part for part in each if isinstance(part, Reference)]
        return {last_part(part.selector) for part in references if not part.scope}

    def layers(self) -> set[str]:
        """Names of the layers that the stacks are made of."""
        lists = {s.scope: s for s in self._bound if s.parameter == "layers"}
        return {
            last_part(each.selector)
            for statement in lists.values()
            for each in _flat(self._resolved(statement.value))
            if isinstance(each, Reference)
        }

    def _resolved(self, value: Any, within: tuple[str, ...] = ()) -> Any:
        """A value without macros; `within` are those that it stands in, outermost first.

        Raises:
          errors.UserError: a macro stands for itself.
        """
        if isinstance(value, Macro):
            macros = (*within, value.name)
            if value.name in within:
                chain = " = ".join(f"%{macro}" for macro in macros)
                raise errors.UserError(
                    f"the macro %{value.name} stands for itself: {chain}. Bind one of them to a "
                    "value"
                )
            return self._resolved(self._macros.get(value.name), macros)
        if isinstance(value, list | tuple):
            return type(value)(self._resolved(each, within) for each in value)
        if isinstance(value, dict):
            return {key: self._resolved(each, within) for key, each in value.items()}
        return value


def last_part(selector: str) -> str:
    """The name of a function or class without its modules."""
    return selector.rpartition(".")[2]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for each in value:
            yield from _flat(each)
    else:
        yield value
