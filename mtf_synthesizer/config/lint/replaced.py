"""Check that a model still has the layer and the functions that its name stands for.

A later gin file may replace the layers, as T5's task_adapter.gin and models/bi_v1_shared.gin do.
The record of the run would name a synthesizer that the model does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config import statements
from mtf_synthesizer.config.statements import Reference
from mtf_synthesizer.config.values import BoundValues, last_part

# Layers that T5's models have without any of the named files.
_STOCK = {"SelfAttention", "EncDecAttention", "DenseReluDense"}
_OURS = "SyntheticAttention"
_STACKS: Mapping[str, Sequence[str]] = {"bitransformer": ("encoder", "decoder")}
_CONTAINERS = {"Mixture", "Sum", "Heads"}  # which refuse an empty list themselves
_OF_FUNCTIONS = ("synthesizer", "functions")
_OF_LAYERS = ("layers", "baseline")


def check(
    name: str,
    base: Sequence[str],
    files: Sequence[str],
    own: tuple[Sequence[str], Sequence[str]],
) -> None:
    """Compare a configuration with the same one without the user's files and bindings.

    Args:
      name: as --synthesizer.
      base: the gin files without the user's.
      files: all gin files.
      own: the user's gin files and bindings.

    Raises:
      errors.UserError: no stack has the layer of the name, or one of its functions.
    """
    changes = [
        statement
        for statement in statements.statements(*own)
        if {statement.parameter, statement.selector}.intersection((*_OF_LAYERS, *_OF_FUNCTIONS))
    ]
    if not changes:
        return
    before, after = _stacks(base, ()), _stacks(files, own[1])
    lost = _union(_layers, before) - _STOCK - _union(_layers, after)
    if lost:
        raise errors.UserError(
            f"--synthesizer {name}: {changes[-1].origin} replaces the layers, and no stack has "
            f"{', '.join(sorted(lost))} any more. Leave that file or binding out, or give another "
            "that keeps the layer"
        )
    functions = _union(_functions, after)
    lost = _union(_functions, before) - functions
    if lost and functions - _CONTAINERS:
        raise errors.UserError(
            f"--synthesizer {name}: {changes[-1].origin} replaces the functions, and no stack has "
            f"{', '.join(sorted(lost))} any more. Leave --synthesizer out and give --gin_file "
            "synthetic_attention.gin with the functions"
        )


def _stacks(files: Sequence[str], params: Sequence[str]) -> list[BoundValues]:
    bound = BoundValues(files, params)
    scopes = _STACKS.get(bound.value("run", "model_type") or "bitransformer", ("",))
    return [bound.within(scope) for scope in scopes]


def _union(names: Any, stacks: Sequence[BoundValues]) -> set[str]:
    return {name for stack in stacks for name in names(stack)}


def _layers(stack: BoundValues) -> Iterator[str]:
    yield from _references(stack.value("make_layer_stack", "layers"))


def _functions(stack: BoundValues) -> set[str]:
    """Return the names of the functions of the layer, those within mixtures included."""
    names: set[str] = set()
    waiting = [_OURS]
    while waiting:
        function = waiting.pop()
        values = [stack.value(function, parameter) for parameter in _OF_FUNCTIONS]
        new = {name for value in values for name in _references(value)} - names
        names |= new
        waiting += new
    return names


def _references(value: Any) -> Iterator[str]:
    for part in statements.values(value):
        if isinstance(part, Reference):
            yield last_part(part.selector)
