"""Rows of a comparison: a synthesizer or a gin file, with bindings of its own; no TensorFlow.

A row is `fr`, `mine.gin`, `encoder=r*1,v*1;decoder=v`, or one of these with gin files and bindings
behind it, as in `fr FactorizedRandom.rank=8` and `v cross/r.gin`.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.config import by_layer, gin_files, statements
from mtf_synthesizer.config.values import BoundValues

_MINUTES = "minutes"


@dataclasses.dataclass(frozen=True)
class Variant:
    """The models of a row.

    Attributes:
      synthesizer: a name of gin/synthesizers or gin/baselines, or a choice by layer; None for a
        gin file.
      gin_files: the gin file.
      gin_params: bindings.
      minutes: processor time of the training; None for the steps that all rows share.
    """

    synthesizer: str | None
    gin_files: tuple[str, ...] = ()
    gin_params: tuple[str, ...] = ()
    minutes: float | None = None


def parse(row: str) -> Variant:
    """Parse a row.

    Raises:
      errors.UserError: a part after the name is not a binding.
    """
    name, *parts = row.split(" ")
    files, params, minutes = [], [], None
    for part in parts:
        key, is_binding, value = part.partition("=")
        if part.endswith(".gin"):
            files.append(part)
        elif not is_binding:
            raise errors.UserError(
                f"--rows {row}: {part!r} is neither a gin file nor a binding without spaces. "
                "Write for example FactorizedRandom.rank=8"
            )
        elif key == _MINUTES:
            minutes = float(value)
        else:
            params.append(f"{key} = {value}")
    if name.endswith(".gin"):
        return Variant(None, (name, *files), tuple(params), minutes)
    return Variant(name, tuple(files), tuple(params), minutes)


def folder_name(row: str) -> str:
    """Return a row as part of a folder's name: fr FactorizedRandom.rank=8 gives fr-rank-8."""
    if " " not in row and not row.endswith(".gin"):
        return by_layer.folder_name(row)
    name, *parts = row.split(" ")
    short = [part.rpartition(".")[2] if "=" in part else part for part in parts]
    return re.sub(r"[^\w.+-]", "-", "-".join([by_layer.folder_name(name), *short]))


def varied(rows: Iterable[str], vary: Sequence[str]) -> list[str]:
    """Return each row with every combination of the values of bindings.

    A row that does not use the class of a binding stays as it is.

    Args:
      rows: names of synthesizers and gin files.
      vary: bindings with several values, as `FactorizedRandom.rank=2,8,32`.

    Raises:
      errors.UserError: a binding has another form, or no row uses it.
    """
    rows = list(rows)
    choices = [_choices(text) for text in vary]
    used: set[str] = set()
    result: list[str] = []
    for row in rows:
        of_row = [choice for choice in choices if _is_used(row, choice[0])]
        used.update(key for key, _ in of_row)
        bindings = [[f"{key}={value}" for value in values] for key, values in of_row]
        result += [" ".join([row, *chosen]) for chosen in itertools.product(*bindings)]
    for key, _ in choices:
        if key not in used:
            raise errors.UserError(
                f"--vary {key}: none of the rows {', '.join(rows)} uses {key.partition('.')[0]}. "
                "Add a row that does"
            )
    return result


def _choices(text: str) -> tuple[str, list[str]]:
    key, _, values = text.partition("=")
    key, parts = key.strip(), [part.strip() for part in values.split(",")]
    if not re.fullmatch(r"[\w./]+", key) or not all(parts) or " " in "".join(parts):
        raise errors.UserError(
            f"--vary {text}: write a binding and its values, for example "
            "FactorizedRandom.rank=2,8,32"
        )
    return key, list(dict.fromkeys(parts))


def _is_used(row: str, key: str) -> bool:
    """True if a row's own file refers to the class of a binding, or the binding is a macro."""
    owner = key.rpartition("/")[2].partition(".")[0]
    if "." not in key:
        return True
    variant = parse(row)
    files = list(variant.gin_files)
    if variant.synthesizer is not None:
        if by_layer.is_by_layer(variant.synthesizer):
            return True
        files = [gin_files.gin_file("synthesizers", variant.synthesizer)]
    bound = BoundValues(files, [])
    referred = {
        value.selector.rpartition(".")[2]
        for statement in statements.statements(files, [])
        for value in statements.values(statement.value)
        if isinstance(value, statements.Reference)
    }
    return owner in referred | bound.layers() | {"Unitransformer", "DenseReluDense"}
