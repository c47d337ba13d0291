"""Whether a mesh of devices fits a configuration: said before TensorFlow is loaded.

The bindings are T5's: `utils.run.mesh_shape` is the mesh, `utils.run.layout_rules` says which
dimensions of tensors are split over its axes, `utils.run.mesh_devices` names its devices. A mesh
that is no literal (T5's follows from the topology of a TPU) is left to Mesh.
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

SHAPE, RULES, DEVICES = (f"utils.run.{n}" for n in ("mesh_shape", "layout_rules", "mesh_devices"))
_EXAMPLES = {int: "batch:4,model:2", str: "batch:batch,heads:model"}

# Names of dimensions that T5's, Mesh's and our layers have.
_DIMENSIONS = (
    *("ensemble", "outer_batch", "batch", "beam", "length", "memory_length", "d_model", "d_ff"),
    *("heads", "query_heads", "d_kv", "vocab", "experts"),
)
# Along these tables are cut and looked up, for rows that are shorter, packed, or being decoded.
_OF_TABLES = ("query_position", "key_position")
# Parameters of the model and of layers that say the size of a dimension.
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
    """Checks the mesh of a configuration given as on the command line.

    Raises:
      errors.UserError: a mesh or layout that is no such thing, an axis or dimension that there is
        not, sizes that can't be divided, or fewer devices than the mesh has.
    """
    bound = BoundValues(files, params)
    shape, layout = bound.value("run", "mesh_shape"), bound.value("run", "layout_rules")
    if any(given is None or isinstance(given, Reference) for given in (shape, layout)):
        return
    axes, rules = pairs(SHAPE, shape, int), pairs(RULES, layout, str)
    _check_rules(bound.statement("run", "layout_rules"), rules, axes)
    _check_axes(axes, rules)
    _check_devices(bound.value("run", "mesh_devices"), axes)
    for binding, dimension, size in _sizes(bound):
        check_size(binding, dimension, size, axes, rules)


def is_choice(given: str) -> bool:
    """Whether a `--gin_file` or `--gin_param` says nothing but which devices there are."""
    return _CHOICE.fullmatch(given) is not None


def check_size(binding: str, dimension: str, size: int, axes: Axes, rules: Rules) -> None:
    """Raises a UserError unless a mesh divides a dimension into equal parts.

    Args:
      binding: what says the size.
      dimension: of tensors.
      size: of the dimension.
      axes: of the mesh: name -> number of devices.
      rules: dimension -> axis that it is split over.
    """
    axis = rules.get(dimension, "")
    parts = axes.get(axis, 1)
    if size % parts:
        raise errors.UserError(
            f"{binding} = {size} can't be divided into {parts} equal parts: {RULES} splits "
            f"{dimension} over {axis!r}, which has {parts} devices in {SHAPE}. Choose so many "
            f"devices that {size} can be divided by them, or another size"
        )


def pairs(binding: str, value: Any, kind: type) -> dict[str, Any]:
    """Reads a mesh or a layout as Mesh does: a text like "batch:4,model:2", or a list of pairs.

    Args:
      binding: where it stands.
      value: of the binding.
      kind: of the second of each pair: `int` for a mesh, `str` for a layout.

    Raises:
      errors.UserError: it is no such thing.
    """
    parts = value
    if isinstance(value, str):
        parts = [_pair(part, kind) for part in re.split(r"[,.;\s]+", value) if part]
    if not isinstance(parts, list | tuple) or not all(_is_pair(each, kind) for each in parts):
        raise errors.UserError(f"{binding} = {value!r}: write it like {_EXAMPLES[kind]!r}")
    found = dict(parts)
    if len(found) < len(parts):
        raise errors.UserError(f"{binding} = {value!r}: one name is there twice")
    return found


def _pair(text: str, kind: type) -> tuple[str, str | int]:
    first, _, second = text.partition(":")
    return (first, int(second) if kind is int and second.isdecimal() else second)


def _is_pair(value: Any, kind: type) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    first, second = value
    return bool(isinstance(first, str) and first and type(second) is kind and second > kind())


def _check_rules(statement: Statement | None, rules: Rules, axes: Axes) -> None:
    """Those of Mesh and of finished runs name axes that few meshes have, which does nothing."""
    if statement is None or statement.trusted:
        return
    for dimension, axis in rules.items():
        if dimension in _OF_TABLES:
            raise errors.UserError(
                f"{RULES} ({statement.origin}): a table is cut and looked up along {dimension}, "
                "which can't be split: split heads instead"
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
    wanted = math.prod(axes.values())
    if isinstance(devices, list | tuple) and 0 < len(devices) < wanted:
        shape = ",".join(f"{name}:{size}" for name, size in axes.items())
        raise errors.UserError(
            f"{SHAPE} is {shape}, {wanted} devices, but {DEVICES} names {len(devices)}: "
            f"{', '.join(map(str, devices))}. Name them all, or give a file of meshes/, which "
            "takes the visible ones (docs/meshes.md)"
        )


def _sizes(bound: BoundValues) -> Iterator[tuple[str, str, int]]:
    """Binding, dimension and size, where a literal says the size of a dimension."""
    parameters = dict(_OF_MODEL)
    for layer in sorted(bound.layers()):
        parameters |= {(layer, name): dimension for name, dimension in _OF_LAYERS.items()}
    for (function, parameter), dimension in parameters.items():
        value = bound.value(function, parameter)
        for size in value.values() if isinstance(value, dict) else [value]:
            if type(size) is int:
                yield f"{function}.{parameter}", dimension, size
