"""Plan of a warm start: the source of every variable, decided before any value is read.

Variables are names and dimensions here, so this module loads no TensorFlow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.checkpoints import is_of_optimizer, listed

# Default α of V in a mixture that starts from a T5.
SHARE_OF_V = 0.9

# Variables of T5's self-attention; all other variables belong to a synthesizing function.
_BIASES = ("relative_attention_bias", "relative_attention_ak")
_DOT_PRODUCT = ("q", "k", "kv")
_SHARED = (*_DOT_PRODUCT, "v", "o", *_BIASES)
# Part of our variable name -> its name in checkpoints of T5's layer and of T5's first releases.
_OTHER_NAMES = (
    ("/SyntheticAttention/", "/SelfAttention/"),
    ("/SyntheticEncDecAttention/", "/EncDecAttention/"),
    ("/rms_norm/", "/layer_norm/"),
    ("/rms_norm/", "/final_layer_norm/"),
)
# Dimensions along which tables are cut, or tiled like the layer's `Tile`: row p is row p mod N.
# `b` is the dimension p div a of a factorized dense function.
_TILED = ("query_position", "key_position", "b")
_CENTRED = "distance"  # dimension of Toeplitz tables: longer tables repeat the outermost weights
_CUT = ("max_length",)  # learned absolute positions can be cut, but not extended

Shape = tuple[int, ...]
Dims = tuple[tuple[str, int], ...]  # name and size of each dimension
Change = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Own:
    """The initial value of a variable of a synthesizing function.

    Attributes:
      description: description of the value.
      value: function from zeros of the variable's shape to the value.
    """

    description: str
    value: Change


@dataclasses.dataclass(frozen=True)
class Beginning:
    """The start of a layer's synthesizing function if the checkpoint has another function.

    Attributes:
      scope: variable scope of the layer.
      query_scale: factor of W_Q.
      has_dot_product: whether V is part of the function, so that all of T5's layer is loaded.
      own: variable below the scope -> its initial value, if it differs from the initializer's.
    """

    scope: str
    query_scale: float = 1.0
    has_dot_product: bool = False
    own: Mapping[str, Own] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Entry:
    """The source of a variable's value.

    Attributes:
      name, shape: name and shape of the variable.
      description: description of the change; "loaded" without a change.
      source: variable of the checkpoint; None for a new variable.
      change: function from the source's value, or from zeros, to the value; None for the
        initializer's value.
    """

    name: str
    shape: Shape
    description: str
    source: str | None = None
    change: Change | None = None


@dataclasses.dataclass(frozen=True)
class WarmStartPlan:
    """The sources of all variables of a model.

    Attributes:
      entries: an entry for each variable of the model.
      dropped: name -> shape of the variables of the checkpoint that are not used.
    """

    entries: list[Entry]
    dropped: dict[str, Shape]


def make(
    path: str,
    saved: Mapping[str, Shape],
    built: Mapping[str, Dims],
    beginnings: Iterable[Beginning],
) -> WarmStartPlan:
    """Plan every variable of the checkpoint and of the model.

    Args:
      path: path of the checkpoint, for messages.
      saved: variables of the checkpoint; the step and variables of optimizers are ignored.
      built: variables of the model.
      beginnings: initial values of the self-attention layers. They are ignored for a layer whose
        function is the function of the checkpoint.

    Raises:
      errors.UserError: the checkpoint lacks a variable, has a variable that the model lacks, or a
        shape does not fit.
    """
    saved = {
        name: shape
        for name, shape in saved.items()
        if name != "global_step" and not is_of_optimizer(name)
    }
    begun = {
        beginning.scope: beginning
        for beginning in beginnings
        if _is_new(path, beginning.scope, saved, built)
    }
    entries, problems = [], _Problems()
    for name, dims in built.items():
        layer, part = _within(name, begun)
        source = next((candidate for candidate in _candidates(name) if candidate in saved), None)
        source = source or shared_bias(name, saved)
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
        candidate for name in problems.reshaped for candidate in _candidates(name)
    }
    dropped = {name: shape for name, shape in saved.items() if name not in used}
    problems.left_over = sorted(name for name in dropped if not _may_drop(name, begun))
    problems.check(path)
    return WarmStartPlan(entries, dropped)


def _candidates(name: str) -> Iterator[str]:
    """Yield the possible names of a variable in a checkpoint."""
    yield name
    for ours, other in _OTHER_NAMES:
        if ours in name:
            yield name.replace(ours, other)


def shared_bias(name: str, saved: Iterable[str]) -> str | None:
    """Return the relative bias that all layers of a stack share; None unless it is one."""
    stack, bias = name.partition("/")[0], name.rpartition("/")[2]
    if bias != _BIASES[0]:
        return None
    biases = [
        variable
        for variable in saved
        if variable.startswith(f"{stack}/") and variable.endswith(f"/{bias}")
    ]
    return biases[0] if len(biases) == 1 else None


def _within(name: str, begun: Mapping[str, Beginning]) -> tuple[Beginning | None, str]:
    """Return the layer with a new function that holds a variable, and the name in the layer."""
    for scope, layer in begun.items():
        for prefix in _candidates(f"{scope}/"):
            if name.startswith(prefix):
                return layer, name.removeprefix(prefix)
    return None, ""


def _is_new(path: str, scope: str, saved: Mapping[str, Shape], built: Mapping[str, Dims]) -> bool:
    """Return whether a layer's function is new, because the checkpoint has V.

    Raises:
      errors.UserError: model and checkpoint have different functions, and neither is V.
    """
    before = {part for prefix in _candidates(f"{scope}/") for part in _parts(prefix, saved)}
    now = _parts(f"{scope}/", built)
    if _functions(before) == _functions(now):
        return False
    own = sorted(before - set(_SHARED))
    if own:
        raise errors.UserError(
            f"{path}: the self-attention {scope} has {', '.join(own)}, but this model has "
            f"{', '.join(sorted(now - set(_SHARED))) or 'a dot product only'}. Start from T5's "
            "attention or V, or from the same functions at another length; `train "
            "--init_checkpoint --partial_init` loads variables of equal names"
        )
    return True


def _parts(prefix: str, variables: Iterable[str]) -> set[str]:
    return {name.removeprefix(prefix) for name in variables if name.startswith(prefix)}


def _functions(parts: set[str]) -> set[str]:
    """Return the variables that identify a function; for V alone only q and k."""
    return parts - {"v", "o", *_BIASES}


def _new(name: str, dims: Dims, own: Own | None) -> Entry:
    shape = tuple(size for _, size in dims)
    if own is None:
        return Entry(name, shape, "new, initial values")
    return Entry(name, shape, f"new, {own.description}", change=own.value)


def _taken(name: str, dims: Dims, source: str, before: Shape) -> Entry | None:
    """Return the entry of a loaded variable; None if its shape can't be made to fit."""
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
    """Return the old index of every new index along a dimension."""
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
        description=f"{entry.description}, times {factor:.4g}",
        change=lambda value: change(value) * np.asarray(factor, value.dtype),
    )


def _may_drop(name: str, begun: Mapping[str, Beginning]) -> bool:
    """Return whether only a dot product used a variable, in a layer that no longer has one."""
    layer, part = _within(name, begun)
    return layer is not None and not layer.has_dot_product and part in (*_DOT_PRODUCT, *_BIASES)


@dataclasses.dataclass
class _Problems:
    """Variables that the other side lacks or has in another shape."""

    lacking: list[str] = dataclasses.field(default_factory=list)
    left_over: list[str] = dataclasses.field(default_factory=list)
    reshaped: dict[str, tuple[Shape, Shape]] = dataclasses.field(default_factory=dict)

    def check(self, path: str) -> None:
        """Raise a UserError if any variable is missing or has another shape."""
        reshaped = [f"{name} {list(a)} -> {list(b)}" for name, (a, b) in self.reshaped.items()]
        names_of_problems = {
            "it lacks": self.lacking,
            "this model lacks": self.left_over,
            "shapes differ:": reshaped,
        }
        problems = [
            f"{problem} {listed(names)}" for problem, names in names_of_problems.items() if names
        ]
        if problems:
            remedy = (
                "Give the --size or the gin files of its training: T5 1.1 is --gin_file "
                "models/t5.1.1.base.gin. FactorizedDense.a can't change; learned absolute "
                "positions can be cut, not extended"
            )
            if any(name.endswith("positional_embedding") for name in self.lacking):
                remedy = (
                    "Its model has no learned positions. Give a --run without them, as finetune, "
                    "or the --size or the gin files of its training"
                )
            raise errors.UserError(
                f"{path} can't be the start of this model: {'; '.join(problems)}. {remedy}"
            )
