"""Check of a device mesh against a configuration, before TensorFlow is loaded.

The bindings are T5's: `utils.run.mesh_shape` is the mesh, `utils.run.layout_rules` splits tensor
dimensions over its axes, and `utils.run.mesh_devices` names its devices. Mesh itself checks a mesh
that is not a literal, such as T5's mesh for a TPU topology.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config.statements import Reference, Statement
from mtf_synthesizer.config.values import BoundValues

SHAPE, RULES, DEVICES = (
    f"utils.run.{name}" for name in ("mesh_shape", "layout_rules", "mesh_devices")
)
_EXAMPLES = {int: "batch:4,model:2", str: "batch:batch,heads:model"}

# Names of tensor dimensions in T5's, Mesh's and this package's layers.
_DIMENSIONS = (
    *("ensemble", "outer_batch", "batch", "beam", "length", "memory_length", "d_model", "d_ff"),
    *("heads", "query_heads", "d_kv", "vocab", "experts"),
)
# Tables are sliced and looked up along these dimensions for short, packed or decoded rows.
_OF_TABLES = ("query_position", "key_position")
# Parameters of the model and of layers that set the size of a dimension.
_OF_MODEL = {
    ("run", "batch_size"): "batch",
    ("Unitransformer", "d_model"): "d_model",
    ("run", "sequence_length"): "length",
}
_OF_LAYERS = {"num_heads": "heads", "key_value_size": "d_kv", "hidden_size": "d_ff"}

_CHOICE = re.compile(r"meshes/\w+\.gin|\s*(data|model)_devices\s*=.*")

Axes = Mapping[str, int]
Rules = Mapping[str, str]


def check(files: Sequence[str], params: Sequence[str]) -> None:
    """Check the mesh of a configuration given as on the command line.

    Raises:
      errors.UserError: a malformed mesh or layout, an unknown axis or dimension, an indivisible
        size, or fewer devices than the mesh has.
    """
    bound = BoundValues(files, params)
    shape, layout = bound.value("run", "mesh_shape"), bound.value("run", "layout_rules")
    if any(value is None or isinstance(value, Reference) for value in (shape, layout)):
        return
    axes, rules = pairs(SHAPE, shape, int), pairs(RULES, layout, str)
    _check_rules(bound.statement("run", "layout_rules"), rules, axes)
    _check_axes(axes, rules)
    _check_devices(bound.value("run", "mesh_devices"), axes)
    for binding, dimension, size in _sizes(bound):
        check_size(binding, dimension, size, axes, rules)


def is_choice(option: str) -> bool:
    """Return whether a `--gin_file` or `--gin_param` only chooses the devices."""
    return _CHOICE.fullmatch(option) is not None


def check_size(binding: str, dimension: str, size: int, axes: Axes, rules: Rules) -> None:
    """Raise a UserError unless a mesh divides a dimension into equal parts.

    Args:
      binding: the binding that sets the size.
      dimension: name of the tensor dimension.
      size: size of the dimension.
      axes: axes of the mesh: name -> number of devices.
      rules: layout: dimension -> axis that splits it.

    Raises:
      errors.UserError: the number of devices does not divide the size.
    """
    axis = rules.get(dimension, "")
    parts = axes.get(axis, 1)
    if size % parts:
        raise errors.UserError(
            f"{binding} = {size} can't be divided into {parts} equal parts: {RULES} splits "
            f"{dimension} over {axis!r}, which has {parts} devices in {SHAPE}. Choose a number of "
            "devices that divides the size, or another size"
        )


def pairs(binding: str, value: Any, kind: type) -> dict[str, Any]:
    """Parse a mesh or layout as Mesh does: "batch:4,model:2", or a list of pairs.

    Args:
      binding: name of the binding, for the message.
      value: value of the binding.
      kind: type of the second item of each pair: `int` for a mesh, `str` for a layout.

    Raises:
      errors.UserError: the value is not a mesh or layout, or a name occurs twice.
    """
    parts = value
    if isinstance(value, str):
        parts = [_pair(part, kind) for part in re.split(r"[,.;\s]+", value) if part]
    if not isinstance(parts, list | tuple) or not all(_is_pair(part, kind) for part in parts):
        raise errors.UserError(f"{binding} = {value!r}: write it like {_EXAMPLES[kind]!r}")
    mapping = dict(parts)
    if len(mapping) < len(parts):
        raise errors.UserError(f"{binding} = {value!r}: a name occurs twice")
    return mapping


def _pair(text: str, kind: type) -> tuple[str, str | int]:
    first, _, second = text.partition(":")
    return (first, int(second) if kind is int and second.isdecimal() else second)


def _is_pair(value: Any, kind: type) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    first, second = value
    return bool(isinstance(first, str) and first and type(second) is kind and second > kind())


def _check_rules(statement: Statement | None, rules: Rules, axes: Axes) -> None:
    """Check a user's layout; Mesh's own rules may name axes that a mesh lacks, without effect."""
    if statement is None or statement.trusted:
        return
    for dimension, axis in rules.items():
        if dimension in _OF_TABLES:
            raise errors.UserError(
                f"{RULES} ({statement.origin}): tables are looked up along {dimension}, which "
                "can't be split. Split heads instead"
            )
        near = difflib.get_close_matches(dimension, _DIMENSIONS, n=1, cutoff=0.8)
        if near and dimension not in _DIMENSIONS:
            raise errors.UserError(
                f"{RULES} ({statement.origin}): no tensor has a dimension {dimension!r}. Did you "
                f"mean {near[0]!r}?"
            )
        if axis not in axes:
            raise errors.UserError(
                f"{RULES} ({statement.origin}) splits {dimension} over {axis!r}, but {SHAPE} has "
                f"no such axis.{errors.suggestion(axis, axes)} It has {', '.join(axes) or 'none'}"
            )


def _check_axes(axes: Axes, rules: Rules) -> None:
    for axis, size in axes.items():
        if size > 1 and axis not in rules.values():
            raise errors.UserError(
                f"{SHAPE} has {size} devices along {axis!r}, over which {RULES} splits nothing: "
                f"all would compute the same.{errors.suggestion(axis, set(rules.values()))} "
                "Choose another file of meshes/ (docs/meshes.md), or bind both"
            )


def _check_devices(devices: Any, axes: Axes) -> None:
    required = math.prod(axes.values())
    if isinstance(devices, list | tuple) and 0 < len(devices) < required:
        shape = ",".join(f"{name}:{size}" for name, size in axes.items())
        raise errors.UserError(
            f"{SHAPE} is {shape}, {required} devices, but {DEVICES} names {len(devices)}: "
            f"{', '.join(map(str, devices))}. Name them all, or give a file of meshes/, which "
            "takes the visible ones (docs/meshes.md)"
        )


def _sizes(bound: BoundValues) -> Iterator[tuple[str, str, int]]:
    """Yield (binding, dimension, size) where a literal sets the size of a dimension."""
    parameters = dict(_OF_MODEL)
    for layer in sorted(bound.layers()):
        parameters |= {(layer, name): dimension for name, dimension in _OF_LAYERS.items()}
    for (function, parameter), dimension in parameters.items():
        value = bound.value(function, parameter)
        for size in value.values() if isinstance(value, dict) else [value]:
            if type(size) is int:
                yield f"{function}.{parameter}", dimension, size
