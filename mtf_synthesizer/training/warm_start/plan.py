"""The source of every variable of a new model, decided before a value is read.

Needs no TensorFlow: variables are names and dimensions here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.checkpoints import is_of_optimizer, listed

# The share of V in a mixture that starts from a T5: α of the dot product.
SHARE_OF_V = 0.9

# Of a self-attention layer: what T5's has too. All else belongs to a synthesizing function.
_BIASES = ("relative_attention_bias", "relative_attention_ak")
_DOT_PRODUCT = ("q", "k", "kv")
_SHARED = (*_DOT_PRODUCT, "v", "o", *_BIASES)
# A variable of ours -> the name it has in checkpoints of T5's layer and of T5's first releases.
_OTHER_NAMES = (
    ("/SyntheticAttention/", "/SelfAttention/"),
    ("/rms_norm/", "/layer_norm/"),
    ("/rms_norm/", "/final_layer_norm/"),
)
# Dimensions along which tables are cut, or tiled as by the layer's `Tile`: row p is row p mod N.
# `b` is that of a factorized dense function, p div a.
_TILED = ("query_position", "key_position", "b")
_CENTRED = "distance"  # of a Toeplitz table: the farthest weight on each side stands for all beyond
_CUT = ("max_length",)  # learned absolute positions, of which nothing says how they go on

Shape = tuple[int, ...]
Dims = tuple[tuple[str, int], ...]  # name and size of each dimension
Change = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Own:
    """The initial value of a variable of a synthesizing function.

    Attributes:
      what: in words.
      value: gives its value, of zeros of its shape.
    """

    what: str
    value: Change


@dataclasses.dataclass(frozen=True)
class Beginning:
    """The start of a layer's synthesizing function if the checkpoint has another function.

    Attributes:
      scope: variable scope of the layer.
      query_scale: what W_Q is multiplied by.
      has_dot_product: whether V is part of the function, so that all of T5's layer goes on.
      own: variables below the scope whose first value is not that of every start.
    """

    scope: str
    query_scale: float = 1.0
    has_dot_product: bool = False
    own: Mapping[str, Own] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Entry:
    """The source of a variable's value.

    Attributes:
      name, shape: of the variable.
      what: in words, "loaded" where nothing is done to it.
      source: a variable of the checkpoint; None for a new one.
      change: makes the value of the source's, or of zeros; None for its initial value.
    """

    name: str
    shape: Shape
    what: str
    source: str | None = None
    change: Change | None = None


@dataclasses.dataclass(frozen=True)
class WarmStartPlan:
    """The start of a model.

    Attributes:
      entries: one for each of its variables.
      dropped: name -> shape of the variables of the checkpoint that nothing is made of.
    """

    entries: list[Entry]
    dropped: dict[str, Shape]


def make(
    path: str,
    saved: Mapping[str, Shape],
    built: Mapping[str, Dims],
    beginnings: Iterable[Beginning],
) -> WarmStartPlan:
    """Decide about every variable of the checkpoint and of the model.

    Args:
      path: of the checkpoint, for messages.
      saved: its variables; those of optimizers and the step are not looked at.
      built: the variables of the model.
      beginnings: of its self-attention layers. Where a layer of the checkpoint has the same
        function, it goes on instead.

    Raises:
      errors.UserError: the checkpoint lacks a variable that is no new one, has one that the model
        has no place for, or one of another shape.
    """
    saved = {
        name: shape
        for name, shape in saved.items()
        if name != "global_step" and not is_of_optimizer(name)
    }
    begun = {each.scope: each for each in beginnings if _is_new(path, each.scope, saved, built)}
    entries, problems = [], _Problems()
    for name, dims in built.items():
        layer, part = _within(name, begun)
        source = next((each for each in _candidates(name) if each in saved), None)
        if layer is not None and part not in _SHARED:
            entries.append(_new(name, dims, layer.own.get(part)))
        elif source is None:
            problems.lacking.append(name)
        elif (entry := _taken(name, dims, source, saved[source])) is None:
            problems.reshaped[name] = (saved[source], tuple(size for _, size in dims))
        elif layer is not None and part == "q" and layer.query_scale != 1.0:
            entries.append(_scaled(entry, layer.query_scale))
        else:
            entries.append(entry)
    used = {entry.source for entry in entries} | {
        each for name in problems.reshaped for each in _candidates(name)
    }
    dropped = {name: shape for name, shape in saved.items() if name not in used}
    problems.left_over = sorted(name for name in dropped if not _may_drop(name, begun))
    problems.check(path)
    return WarmStartPlan(entries, dropped)


def _candidates(name: str) -> Iterator[str]:
    """Possible names of a variable in a checkpoint."""
    yield name
    for ours, other in _OTHER_NAMES:
        if ours in name:
            yield name.replace(ours, other)


def _within(name: str, begun: Mapping[str, Beginning]) -> tuple[Beginning | None, str]:
    """The layer with a new function that a variable belongs to, and its name there."""
    for scope, layer in begun.items():
        for prefix in _candidates(f"{scope}/"):
            if name.startswith(prefix):
                return layer, name.removeprefix(prefix)
    return None, ""


def _is_new(path: str, scope: str, saved: Mapping[str, Shape], built: Mapping[str, Dims]) -> bool:
    """True if a layer's function differs from the checkpoint's function, which is then V.

    Raises:
      errors.UserError: both have functions of their own, and not the same.
    """
    before = {part for prefix in _candidates(f"{scope}/") for part in _parts(prefix, saved)}
    now = _parts(f"{scope}/", built)
    if _functions(before) == _functions(now):
        return False
    own = sorted(before - set(_SHARED))
    if own:
        raise errors.UserError(
            f"{path}: the self-attention {scope} has {', '.join(own)}, that of this model "
            f"{', '.join(sorted(now - set(_SHARED))) or 'a dot product alone'}. A model begins "
            "with T5's attention (or V), or with the same functions at another length. "
            "`train --init_checkpoint --partial_init` takes over what has the same names"
        )
    return True


def _parts(prefix: str, variables: Iterable[str]) -> set[str]:
    return {name.removeprefix(prefix) for name in variables if name.startswith(prefix)}


def _functions(parts: set[str]) -> set[str]:
    """Variables that tell functions from each other: with V alone only q and k."""
    return parts - {"v", "o", *_BIASES}


def _new(name: str, dims: Dims, own: Own | None) -> Entry:
    shape = tuple(size for _, size in dims)
    if own is None:
        return Entry(name, shape, "new, initial values")
    return Entry(name, shape, f"new, {own.what}", change=own.value)


def _taken(name: str, dims: Dims, source: str, before: Shape) -> Entry | None:
    """An entry for a variable of the checkpoint; None if its shape can't be made to fit."""
    now = tuple(size for _, size in dims)
    if before == now:
        return Entry(name, now, "loaded", source, lambda value: value)
    if len(before) != len(now):
        return None
    axes = [axis for axis in range(len(now)) if before[axis] != now[axis]]
    if not all(_fits(dims[axis], before[axis]) for axis in axes):
        return None

    def resized(value: np.ndarray) -> np.ndarray:
        for axis in axes:
            value = np.take(value, _places(dims[axis], before[axis]), axis)
        return value

    verb = "cut" if all(now[axis] < before[axis] for axis in axes) else "tiled"
    return Entry(name, now, f"{verb} from {' x '.join(map(str, before))}", source, resized)


def _places(dim: tuple[str, int], before: int) -> np.ndarray:
    """Which of the old entries along a dimension each new one is."""
    name, now = dim
    if name == _CENTRED:
        return np.clip(np.arange(now) - now // 2 + before // 2, 0, before - 1)
    return np.arange(now) % before


def _fits(dim: tuple[str, int], before: int) -> bool:
    name, now = dim
    return name in (*_TILED, _CENTRED) or (name in _CUT and now < before)


def _scaled(entry: Entry, factor: float) -> Entry:
    change = entry.change or (lambda value: value)
    return dataclasses.replace(
        entry,
        what=f"{entry.what}, times {factor:.4g}",
        change=lambda value: change(value) * np.asarray(factor, value.dtype),
    )


def _may_drop(name: str, begun: Mapping[str, Beginning]) -> bool:
    """Only what a dot product alone has a use for, in a layer that has none any more."""
    layer, part = _within(name, begun)
    return layer is not None and not layer.has_dot_product and part in (*_DOT_PRODUCT, *_BIASES)


@dataclasses.dataclass
class _Problems:
    """Variables that have no place on the other side."""

    lacking: list[str] = dataclasses.field(default_factory=list)
    left_over: list[str] = dataclasses.field(default_factory=list)
    reshaped: dict[str, tuple[Shape, Shape]] = dataclasses.field(default_factory=dict)

    def check(self, path: str) -> None:
        """Raise a UserError if any variable has no place."""
        reshaped = [f"{name} {list(a)} -> {list(b)}" for name, (a, b) in self.reshaped.items()]
        found = {
            "it lacks": self.lacking,
            "this model has no place for": self.left_over,
            "of another shape are": reshaped,
        }
        said = [f"{what} {listed(each)}" for what, each in found.items() if each]
        if said:
            raise errors.UserError(
                f"{path} can't be the start of this model: {'; '.join(said)}. Give the --size (or "
                "the gin files) that it was trained with: T5 1.1 is --gin_file "
                "models/t5.1.1.base.gin, a factorized dense function keeps its "
                "FactorizedDense.a, learned absolute positions can be cut, not made longer"
            )
