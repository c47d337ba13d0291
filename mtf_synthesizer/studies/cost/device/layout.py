"""A mesh of devices and the dimensions of tensors that it splits, in T5's syntax; no TensorFlow.

`batch:4;model:2` is a mesh of 4 x 2 devices. `batch:batch;heads:model` splits the dimension `batch`
of each tensor over the axis `batch` of the mesh, and `heads` over `model`.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Iterable, Sequence

from mtf_synthesizer.errors import UserError, suggestion

Dimension = tuple[str, int]
_DEFAULT = "utils.run.layout_rules"


@dataclasses.dataclass(frozen=True)
class MeshLayout:
    """A mesh and the rules of its layout.

    Attributes:
      axes: name and size of each axis of the mesh.
      rules: dimension of tensors -> axis that splits it. Rules for axes that the mesh lacks have no
        effect, like T5's defaults.
      source: the place where the rules are written.
    """

    axes: tuple[Dimension, ...]
    rules: tuple[tuple[str, str], ...]
    source: str = "--layout"

    @property
    def devices(self) -> int:
        return math.prod(size for _, size in self.axes)

    @property
    def shape_text(self) -> str:
        """The mesh in the syntax of `--mesh_shape`."""
        return ";".join(f"{name}:{size}" for name, size in self.axes)

    @property
    def rules_text(self) -> str:
        """The rules in the syntax of `--layout`."""
        return ";".join(f"{name}:{axis}" for name, axis in self.rules)

    def check_tensor(self, dims: Sequence[Dimension]) -> None:
        """Raise a UserError if a tensor with these dimensions can't be laid out."""
        sizes, rules = dict(self.axes), dict(self.rules)
        split: dict[str, str] = {}
        for name, size in dims:
            axis = rules.get(name)
            if axis not in sizes:
                continue
            if axis in split:
                raise UserError(
                    f"{self.source} {self.rules_text}: a tensor with the dimensions "
                    f"{_listed(dims)} has {split[axis]} and {name}, which can't both be split "
                    f"over {axis!r}. Give them different axes, or leave one whole"
                )
            if size % sizes[axis]:
                raise UserError(
                    f"--mesh_shape {self.shape_text}, {self.source} {self.rules_text}: "
                    f"{name}:{axis} splits {size} entries into {sizes[axis]} parts, which must be "
                    f"equal (a tensor has the dimensions {_listed(dims)}). Choose a size of "
                    f"{axis!r} that divides {size}, or leave {name} whole"
                )
            split[axis] = name

    def unused_rules(self, dimensions: Iterable[str]) -> list[str]:
        """Dimensions with a rule that no tensor has."""
        known = set(dimensions)
        return [name for name, axis in self.rules if axis in dict(self.axes) and name not in known]


def parse(mesh_shape: str, layout: str | None, default_layout: str = "") -> MeshLayout:
    """Read `--mesh_shape` and `--layout`.

    Args:
      mesh_shape: name:size of each axis.
      layout: dimension:axis of each split dimension; None for the default.
      default_layout: rules in the same syntax, which may name axes that the mesh lacks.

    Raises:
      UserError: another syntax, an axis twice, or a rule for an axis that the mesh lacks.
    """
    axes = tuple(
        (name, _size(text, mesh_shape)) for name, text in _pairs("--mesh_shape", mesh_shape)
    )
    for name, times in collections.Counter(name for name, _ in axes).items():
        if times > 1:
            raise UserError(
                f"--mesh_shape {mesh_shape}: axis {name!r} occurs {times} times; name it once"
            )
    if layout is None:
        return MeshLayout(axes, tuple(_pairs(_DEFAULT, default_layout)), _DEFAULT)
    rules = tuple(_pairs("--layout", layout))
    _check_rules(layout, rules, [name for name, _ in axes])
    return MeshLayout(axes, rules)


def _check_rules(layout: str, rules: Sequence[tuple[str, str]], axes: Sequence[str]) -> None:
    for _, axis in rules:
        if axis not in axes:
            raise UserError(
                f"--layout {layout}: the mesh has no axis {axis!r}.{suggestion(axis, axes)} "
                f"--mesh_shape has {', '.join(axes) or 'none'}"
            )
    for name, times in collections.Counter(name for name, _ in rules).items():
        if times > 1:
            raise UserError(
                f"--layout {layout}: dimension {name!r} occurs {times} times. Split each dimension "
                "over one axis at most"
            )


def _pairs(flag: str, text: str) -> list[tuple[str, str]]:
    """The pairs of a text, separated by any of Mesh's separators."""
    pairs = []
    for part in re.split(r"[,.;\s]+", text.strip(",.; \t")) if text else []:
        first, colon, second = part.partition(":")
        if not (first and colon and second) or ":" in second:
            raise UserError(
                f"{flag} {text!r}: {part!r} is not a pair. Write pairs like {_EXAMPLES[flag]}"
            )
        pairs.append((first, second))
    return pairs


_EXAMPLES = {
    "--mesh_shape": "batch:4;model:2",
    "--layout": "batch:batch;heads:model",
    _DEFAULT: "batch:batch;heads:model",
}


def _size(text: str, mesh_shape: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise UserError(
            f"--mesh_shape {mesh_shape}: {text!r} is not a number of devices. Write "
            f"{_EXAMPLES['--mesh_shape']} with numbers from 1"
        )
    return int(text)


def _listed(dims: Sequence[Dimension]) -> str:
    return ", ".join(f"{name} ({size})" for name, size in dims)
