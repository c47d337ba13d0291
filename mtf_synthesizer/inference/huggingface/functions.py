"""Descriptions of synthesizing functions and their variables for modeling_synthesizer.py."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz, Uniform
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.positions import LengthPolicy, Refuse, Tile
from mtf_synthesizer.attention.stretched import Interpolate, LearnedTile
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    FixedRandom,
    Mixture,
    OwnProjection,
    QueryProjection,
    Random,
    Sum,
)
from mtf_synthesizer.errors import UserError

Spec = dict[str, Any]
DOT_PRODUCT: Spec = {"kind": DotProduct.scope}
# Variable -> axis of the heads (default: 0), which Mesh omits in a layer with one head.
_HEAD_AXIS = {"w1": 1}
_TILES = frozenset(["tile_query_position", "tile_key_position"])  # variables of LearnedTile


@dataclasses.dataclass(frozen=True)
class FunctionPlace:
    """The place of the variables of one function.

    Attributes:
      scope: variable scope, below the scope of the layer.
      module: name of the PyTorch module, below the module of the layer.
      shared: variables without a dimension of heads.
    """

    scope: str
    module: str
    shared: frozenset[str] = frozenset()

    def tensor(self, variable: str, is_one_head: bool) -> tuple[str, Callable[..., np.ndarray]]:
        """Return the name of a variable's tensor, and the function that makes its value."""
        if variable in ("q", "k"):  # of a second dot product
            return f"{self.module}.{variable}.weight", np.transpose
        name = f"{self.module}.{variable}"
        if not is_one_head or variable in self.shared:
            return name, np.asarray
        return name, lambda value: np.expand_dims(value, _HEAD_AXIS.get(variable, 0))


def describe(function: SynthesizingFunction) -> tuple[Spec, list[FunctionPlace]]:
    """Describe a function and the functions in it.

    Raises:
      UserError: the modelling file lacks a class or a setting.
    """
    parts: list[FunctionPlace] = []
    spec = _spec(function, "synthesizer", Counter(), parts)
    return spec, parts


def _spec(
    function: SynthesizingFunction, module: str, used: Counter[str], parts: list[FunctionPlace]
) -> Spec:
    kind = type(function)
    if kind not in _FIELDS:
        raise _unknown(function)
    spec = {"kind": function.scope, **_FIELDS[kind](function)}
    if not isinstance(function, Sum):  # only Sum opens no variable scope
        number = used[function.scope]
        used[function.scope] += 1
        scope = f"{function.scope}_{number}" if number else function.scope
        shared = _TILES | {"w2"} if spec.get("shared_heads") else _TILES
        parts.append(FunctionPlace(scope, module, shared))
    if isinstance(function, Mixture | Sum):
        spec["functions"] = [
            _spec(term, f"{module}.functions.{number}", used, parts)
            for number, term in enumerate(function.functions)
        ]
    return spec


def _unknown(function: SynthesizingFunction) -> UserError:
    known = ", ".join(kind.__name__ for kind in _FIELDS)
    return UserError(
        f"--format huggingface: the modelling file lacks {type(function).__name__}. Export a "
        f"SavedModel instead, or a model of {known}."
    )


def _table(function: Any) -> Spec:
    return {"max_length": function.max_length, **_beyond_table(function.beyond_max_length)}


def _beyond_table(policy: LengthPolicy) -> Spec:
    """Describe the rows of a table for positions beyond it."""
    kind = type(policy)
    if kind not in (Refuse, Tile, Interpolate, LearnedTile):
        raise UserError(
            f"--format huggingface: beyond_max_length = @{kind.__name__}() is not in the modelling "
            "file. Choose Refuse, Tile, Interpolate or LearnedTile."
        )
    spec: Spec = {"tiles": kind is Tile}
    if isinstance(policy, Interpolate | LearnedTile):
        spec |= {"stretched_to": policy.length, "learned_tile": kind is LearnedTile}
    return spec


def _dense(function: Any) -> Spec:
    if type(function.hidden) not in (OwnProjection, QueryProjection):
        raise UserError(
            f"--format huggingface: hidden = @{type(function.hidden).__name__}() is not in the "
            "modelling file. Choose OwnProjection or QueryProjection."
        )
    return {"hidden_is_query": isinstance(function.hidden, QueryProjection), **_table(function)}


_FIELDS: Mapping[type[SynthesizingFunction], Callable[[Any], Spec]] = {
    DotProduct: lambda function: {},
    Random: _table,
    FixedRandom: _table,
    BandedRandom: lambda function: {"width": function.width, **_table(function)},
    FactorizedRandom: lambda function: {"rank": function.rank, **_table(function)},
    Dense: lambda function: {"shared_heads": function.shared_heads, **_dense(function)},
    FactorizedDense: lambda function: {"a": function.a, **_dense(function)},
    Toeplitz: lambda function: {"max_length": function.max_length},
    Uniform: lambda function: {},
    Mixture: lambda function: {},
    Sum: lambda function: {},
}
