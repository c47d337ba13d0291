"""Synthesizers chosen by stack and by layer, and the gin bindings they stand for.

`encoder=r*3,v*3;decoder=v` gives the first three layers of the encoder R, its other three V, and
all layers of the decoder V. Layers keep the names of T5's checkpoints. Needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.config.statements import Macro, Reference
from mtf_synthesizer.config.values import BoundValues, last_part

FLAG = "--synthesizer_layers"
LAYER_FILE = "synthetic_attention.gin"
_STACKS = ("encoder", "decoder")
_BUILDER = "make_layer_stack"
_ATTENTION = "SyntheticAttention"
_CHOICE = "synthesizer"


@dataclasses.dataclass(frozen=True)
class StackLayers:
    """The synthesizers of one stack.

    Attributes:
      stack: "encoder" or "decoder"; "" for every stack.
      runs: names of gin/synthesizers with the number of layers of each, from the first layer on;
        None for all layers.
    """

    stack: str
    runs: tuple[tuple[str, int | None], ...]


def is_by_layer(synthesizer: str) -> bool:
    """Return whether a value of --synthesizer chooses by stack or layer, as `r*3,v*3` does."""
    return any(mark in synthesizer for mark in "=*,;")


def parse(text: str) -> list[StackLayers]:
    """Parse `encoder=r*3,v*3;decoder=v`.

    Raises:
      errors.UserError: the text has another form, an unknown name, or a stack twice.
    """
    stacks = []
    for clause in text.split(";"):
        stack, is_named, names = clause.strip().rpartition("=")
        if is_named:
            errors.check("stack", stack, _STACKS)
        items = [_item(text, item.strip()) for item in names.split(",")]
        if len(items) > 1 and any(count is None for _, count in items):
            raise errors.UserError(
                f"{FLAG} {text}: give a number of layers for each of several synthesizers, as in "
                "r*3,v*3"
            )
        stacks.append(StackLayers(stack, tuple(items)))
    named = [layers.stack for layers in stacks]
    if len(set(named)) < len(named) or ("" in named and len(named) > 1):
        raise errors.UserError(
            f"{FLAG} {text}: a stack is named twice. Name encoder and decoder once, or give one "
            "list for both"
        )
    return stacks


def _item(text: str, item: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"([\w-]+)(?:\*([1-9]\d*))?", item)
    if match is None:
        raise errors.UserError(
            f"{FLAG} {text}: {item!r} is not a synthesizer with its number of layers. Write for "
            "example encoder=r*3,v*3"
        )
    errors.check("synthesizer", match[1], gin_files.known("synthesizers"))
    return match[1], int(match[2]) if match[2] else None


def folder_name(synthesizer: str) -> str:
    """Return a synthesizer's name as part of a folder's: encoder=r*3,v*3 gives encoder-r3-v3."""
    return re.sub(r"[=,;]", "-", synthesizer.replace("*", ""))


def bindings(text: str, files: Sequence[str], params: Sequence[str]) -> str:
    """Return gin text that gives each layer of a configuration its synthesizer.

    Bindings of a synthesizer's file hold in a scope of its own, as `encoder/r`. A binding that a
    file or parameter of the user changes is left out.

    Args:
      text: as --synthesizer_layers.
      files, params: the rest of the configuration, with `LAYER_FILE`.

    Raises:
      errors.UserError: see `parse`; or stacks and numbers of layers are not those of the model.
    """
    choices = parse(text)
    bound = BoundValues(files, params)
    stacks = _stacks(bound)
    _check_stacks(text, choices, stacks)
    changed = {
        (last_part(statement.selector), statement.parameter)
        for statement in statements.statements(files, params)
        if statement.parameter
        and not statement.scope
        and not statement.origin.startswith(LAYER_FILE)
    } - {(_ATTENTION, _CHOICE)}
    lines: list[str] = []
    for choice in choices:
        for stack in [choice.stack] if choice.stack else stacks:
            names = _of_layers(text, choice, stack, bound.within(stack))
            lines += _scoped(dict.fromkeys(names), stack, changed)
            scopes = [_scope(stack, name) for name in names]
            lines += stack_bindings(stack, scopes, bound.within(stack))
    return "\n".join(lines)


def _stacks(bound: BoundValues) -> Sequence[str]:
    """The gin scopes of the model's stacks."""
    kind = bound.value("run", "model_type")
    return _STACKS if kind in (None, "bitransformer") else ("",)


def _check_stacks(text: str, choices: Sequence[StackLayers], stacks: Sequence[str]) -> None:
    named = [choice.stack for choice in choices]
    if stacks == ("",) and named != [""]:
        raise errors.UserError(
            f"{FLAG} {text}: this model has one stack. Leave out {named[0]}= and give one list"
        )
    missing = [stack for stack in stacks if stack not in named]
    if "" not in named and missing:
        raise errors.UserError(
            f"{FLAG} {text}: the layers of the {missing[0]} are missing. Add "
            f"{FLAG} {missing[0]}=..."
        )


def _of_layers(text: str, choice: StackLayers, stack: str, bound: BoundValues) -> list[str]:
    """The synthesizer of each layer."""
    count = bound.value(_BUILDER, "num_layers")
    if not isinstance(count, int):
        raise errors.UserError(
            f"{FLAG} {text}: the number of layers is {count!r}. Bind the macro num_layers to a "
            "number"
        )
    names = [name for name, repeats in choice.runs for _ in range(repeats or count)]
    if len(names) != count:
        raise errors.UserError(
            f"{FLAG} {text}: {len(names)} layers for the {stack or 'stack'}, which has {count} "
            f"(num_layers). Give {count}"
        )
    return names


def _scoped(names: Sequence[str] | dict[str, None], stack: str, changed: set[Any]) -> Iterator[str]:
    """The bindings of each synthesizer's file, in its scope."""
    for name in names:
        path = gin_files.find_gin_file(gin_files.gin_file("synthesizers", name))
        for statement in statements.read_files([str(path)]):
            of_file = statement.origin.partition(":")[0].endswith(path.name)
            key = (last_part(statement.selector), statement.parameter)
            if of_file and statement.parameter and key not in changed:
                binding = f"{_scope(stack, name)}/{statement.selector}.{statement.parameter}"
                yield f"{binding} = {_written(statement.value)}"


def _scope(stack: str, name: str) -> str:
    return f"{stack}/{name}".lstrip("/")


def stack_bindings(stack: str, scopes: Sequence[str], bound: BoundValues) -> Iterator[str]:
    """Yield gin text that lists the layers of a stack one by one.

    Args:
      stack: gin scope of the stack.
      scopes: gin scope of the attention in each block.
      bound: the configuration within the stack.
    """
    builder = f"{stack}/transformer.{_BUILDER}".lstrip("/")
    layers = bound.value(_BUILDER, "layers")
    yield f"{builder}.num_layers = 1  # one block, whose list holds all layers"
    yield f"{builder}.block_scope = False"
    yield f"{builder}.layers = ["
    for block, scope in enumerate(scopes):
        for number, layer in enumerate(layers):
            parts = list(layer) if isinstance(layer, list | tuple) else [layer]
            own = next((part for part in parts if isinstance(part, str)), f"layer_{number:03d}")
            parts = [_in_scope(part, scope) for part in parts if not isinstance(part, str)]
            yield f"    {_written([*parts, f'block_{block:03d}/{own}'])},"
    yield "]"


def _in_scope(part: Any, scope: str) -> Any:
    if isinstance(part, Reference) and last_part(part.selector) == _ATTENTION:
        return dataclasses.replace(part, scope=scope)
    return part


def _written(value: Any) -> str:
    """A value as gin text."""
    if isinstance(value, Reference):
        call = "()" if value.evaluated else ""
        return f"@{value.scope}/{value.selector}{call}".replace("@/", "@")
    if isinstance(value, Macro):
        return f"%{value.name}"
    if isinstance(value, list | tuple):
        inside = ", ".join(_written(item) for item in value)
        return f"[{inside}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_written(item)}' for key, item in value.items())}}}"
    return repr(value)
