"""A trained R+V with α turned into heads of R and heads of V: each head keeps its larger term.

softmax(α_R R + α_V q·k + bias) becomes softmax(α_R R + bias) in heads whose α_R is at least 1/2,
and softmax(α_V q·k + bias) in the others. Heads of R have no q and k, and no attention matrix per
example.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import scipy.special

from mtf_synthesizer import errors
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct, Mixture, Random
from mtf_synthesizer.config.by_layer import stack_bindings
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.model_folder.checkpoints import is_of_optimizer
from mtf_synthesizer.training.warm_start.plan import Dims, Entry, WarmStartPlan, shared_bias

_TABLE, _ALPHA, _BIAS = "random/table", "mixture/alpha", "relative_attention_bias"


@dataclasses.dataclass(frozen=True)
class PrunedLayer:
    """The heads of one layer.

    Attributes:
      alpha: float [heads, 2], of R and V.
      has_bias: whether it has a relative position bias.
    """

    alpha: np.ndarray
    has_bias: bool

    @property
    def of_r(self) -> np.ndarray:
        """Numbers of the heads that keep R."""
        return np.flatnonzero(self.alpha[:, 0] >= self.alpha[:, 1])

    @property
    def of_v(self) -> np.ndarray:
        """Numbers of the heads that keep V."""
        return np.flatnonzero(self.alpha[:, 0] < self.alpha[:, 1])


def layers(reader: Any, attentions: Mapping[str, SyntheticAttention]) -> dict[str, PrunedLayer]:
    """Read the α of each layer of a model.

    Raises:
      errors.UserError: a layer is not a mixture of R and V, or its heads share keys and values.
    """
    return {scope: _layer(reader, scope, layer) for scope, layer in attentions.items()}


def _layer(reader: Any, scope: str, layer: SyntheticAttention) -> PrunedLayer:
    kinds = [type(function) for function in getattr(layer.synthesizer, "functions", ())]
    if not isinstance(layer.synthesizer, Mixture) or sorted(k.__name__ for k in kinds) != [
        "DotProduct",
        "Random",
    ]:
        raise errors.UserError(
            f"--prune_heads: {scope} is not a mixture of R and V with α. Give a model of "
            "--synthesizer rv"
        )
    if layer.num_memory_heads or layer.shared_kv or layer.num_heads == 1:
        raise errors.UserError(
            f"--prune_heads: {scope} has one head, or heads that share keys and values. Give a "
            "model with several heads, num_memory_heads 0 and shared_kv False"
        )
    if layer.relative_attention_type == "contextual":
        raise errors.UserError(
            f"--prune_heads: {scope} has a contextual relative bias. Give a model with 'bias', "
            "'bias_shared' or none"
        )
    alpha = scipy.special.softmax(reader.get_tensor(f"{scope}/{_ALPHA}"), axis=-1)
    order = [kinds.index(Random), kinds.index(DotProduct)]
    return PrunedLayer(alpha[:, order], layer.relative_attention_type is not None)


def bindings(pruned: Mapping[str, PrunedLayer], bound: BoundValues) -> str:
    """Return gin text that gives the layers of a model their heads.

    Args:
      pruned: scope of a layer -> its heads.
      bound: the model's configuration.

    Raises:
      errors.UserError: its layers are listed one by one already.
    """
    lines: list[str] = []
    places: dict[str, list[str]] = {}
    for scope, layer in pruned.items():
        stack, _, block = scope.rpartition("/layer_")[0].partition("/")
        gin_stack = stack if stack in ("encoder", "decoder") else ""
        place = f"{gin_stack}/{block}".lstrip("/")
        places.setdefault(gin_stack, []).append(place)
        lines += _of_layer(place, layer)
    for stack, scopes in places.items():
        within = bound.within(stack)
        if within.value("make_layer_stack", "block_scope") is False:
            raise errors.UserError(
                "--prune_heads: the layers of this model are listed one by one. Give a model with "
                "one synthesizer for all layers"
            )
        lines += stack_bindings(stack, scopes, within)
    return "\n".join(lines)


def _of_layer(place: str, layer: PrunedLayer) -> Iterator[str]:
    sizes = (len(layer.of_r), len(layer.of_v))
    name = f"{place}/SyntheticAttention"
    if all(sizes):
        yield f"{name}.synthesizer = @Heads()"
        yield f"{place}/Heads.functions = [@Random(), @DotProduct()]"
        yield f"{place}/Heads.sizes = {list(sizes)}"
    else:
        yield f"{name}.synthesizer = @{'Random' if sizes[0] else 'DotProduct'}()"
    if layer.has_bias:  # the heads of a group are others in each layer
        yield f'{name}.relative_attention_type = "bias"'


def plan(
    path: str,
    saved: Mapping[str, tuple[int, ...]],
    built: Mapping[str, Dims],
    pruned: Mapping[str, PrunedLayer],
) -> WarmStartPlan:
    """Decide about every variable of the new model.

    Raises:
      errors.UserError: the checkpoint lacks a variable.
    """
    saved = {n: s for n, s in saved.items() if n != "global_step" and not is_of_optimizer(n)}
    entries = []
    for name, dims in built.items():
        shape = tuple(size for _, size in dims)
        scope = next((place for place in pruned if name.startswith(f"{place}/")), None)
        if scope is None:
            entries.append(Entry(name, shape, "loaded", name, lambda value: value))
        else:
            part = name.removeprefix(f"{scope}/")
            entries.append(_of_heads(name, shape, scope, part, pruned[scope], saved))
    lacking = [entry.name for entry in entries if entry.source not in saved]
    if lacking:
        raise errors.UserError(
            f"{path}: it lacks {lacking[0]}, which the pruned model needs. Give the folder of a "
            "trained R+V"
        )
    used = {entry.source for entry in entries}
    return WarmStartPlan(entries, {n: s for n, s in saved.items() if n not in used})


def _of_heads(
    name: str,
    shape: tuple[int, ...],
    scope: str,
    part: str,
    layer: PrunedLayer,
    saved: Mapping[str, tuple[int, ...]],
) -> Entry:
    """The entry of a variable of a layer, whose group of heads its name may begin with."""
    group, is_grouped, own = part.partition("/") if part.startswith("heads_") else ("", "", part)
    heads = (layer.of_r, layer.of_v)[int(group.removeprefix("heads_"))] if is_grouped else None
    if heads is None:
        heads = np.arange(len(layer.alpha))
    source: str | None = f"{scope}/{own}"
    if own == _BIAS and source not in saved:
        source = shared_bias(name, saved)
    description = f"heads {', '.join(map(str, heads))}"
    scale = {_TABLE: layer.alpha[heads, 0], "q": layer.alpha[heads, 1]}.get(own)
    return Entry(
        name, shape, description, source, _taken(own, heads, len(layer.alpha), scale, shape)
    )


def _taken(
    part: str, heads: np.ndarray, count: int, scale: np.ndarray | None, shape: tuple[int, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    """Take heads of a variable, times their α."""

    def taken(value: np.ndarray) -> np.ndarray:
        if part in ("q", "k", "v"):
            value = np.moveaxis(value.reshape(len(value), count, -1), 1, 0)
        else:
            value = value.reshape(count, -1, *value.shape[1:])
        value = value[heads]
        if scale is not None:
            value = value * scale.astype(value.dtype).reshape(-1, *[1] * (value.ndim - 1))
        if part in ("q", "k", "v"):
            value = np.moveaxis(value, 0, 1)
        return value.reshape(shape)

    return taken
