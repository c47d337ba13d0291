"""Layers with attention weights: their places in a model, and their names.

Letters follow the paper: V, R, FR+V.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.layer import Recorded, SyntheticAttention
from mtf_synthesizer.attention.synthesizers import Mixture, Sum
from mtf_synthesizer.upstream import graph

_BLOCK = re.compile(r"block_(\d+)")
# Separates the place of a layer that is applied repeatedly from the number of the application.
STEP = "/step_"
# These layers do not mix positions, so their weights are not reported as missing.
_FEED_FORWARD = ("DenseReluDense", "MoE1D", "MoE2D")
# The paper's letters.
_LETTERS = {
    "DotProduct": "V",
    "Random": "R",
    "FixedRandom": "Fix",
    "BandedRandom": "banded R",
    "FactorizedRandom": "FR",
    "Dense": "D",
    "FactorizedDense": "FD",
    "Toeplitz": "Toeplitz",
    "Uniform": "uniform",
}
_T5_LETTER = {"SelfAttention": "V (T5)"}


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with attention weights.

    Attributes:
      kind: class of the layer.
      stack: variable scope of its stack: encoder or decoder.
      block: number of its block, from 1 as the paper counts layers. If blocks are applied
        repeatedly, each application has a number.
      over_encoder: whether its keys are the encoder's positions.
      same_for_all: whether its logits are the same for all examples.
      terms: terms of its mixture, in the order of α; empty without a mixture.
    """

    kind: str
    stack: str
    block: int
    over_encoder: bool
    same_for_all: bool
    terms: tuple[str, ...]


def _place(scope: str) -> str:
    """Shorten encoder/block_000/layer_000/SelfAttention to encoder/block_000/layer_000."""
    return scope.rpartition("/")[0]


def objects_of(model: graph.Model) -> dict[str, transformer.TransformerLayer]:
    """Map places to layers, for every stack."""
    return {
        f"{stack.name}/{layer.name}" if layer.name else stack.name: layer
        for stack in graph.stacks(model)
        for layer in stack.layer_stack._layers
    }


def by_place(recorded: Iterable[Recorded]) -> dict[str, Recorded]:
    """Map places to weights; places of repeated layers end in /step_000 and so on."""
    applied: dict[str, list[Recorded]] = {}
    for record in recorded:
        applied.setdefault(_place(record.layer), []).append(record)
    return {
        place if len(steps) == 1 else f"{place}{STEP}{number:03d}": record
        for place, steps in applied.items()
        for number, record in enumerate(steps)
    }


def described(
    kept: Mapping[str, Recorded], objects: Mapping[str, transformer.TransformerLayer]
) -> dict[str, Layer]:
    layers = {}
    blocks = max((_block(place) for place in objects), default=1)
    for place, recorded in kept.items():
        once, _, step = place.partition(STEP)
        synthesizer = getattr(objects.get(once), "synthesizer", None)
        layers[place] = Layer(
            kind=recorded.layer.rpartition("/")[2],
            stack=place.partition("/")[0],
            block=_block(place) + blocks * int(step or 0),
            over_encoder=isinstance(objects.get(once), transformer_layers.EncDecAttention),
            same_for_all="batch" not in recorded.weights.shape.dimension_names,
            terms=tuple(notation(term) for term in synthesizer.functions)
            if isinstance(synthesizer, Mixture)
            else (),
        )
    return layers


def _block(place: str) -> int:
    """Number of a block, from 1 as the paper counts layers."""
    match = _BLOCK.search(place)
    return 1 + int(match[1]) if match else 1


def left_out(
    objects: Mapping[str, transformer.TransformerLayer],
    recorded: Iterable[Recorded],
    kept: Iterable[str],
) -> dict[str, str]:
    """Map layers that mix positions but expose no weights to the reason."""
    shown = {place.partition(STEP)[0] for place in kept}
    hidden = {_place(record.layer) for record in recorded} - shown
    reasons = {}
    for place, layer in objects.items():
        kind = type(layer).__name__
        if place in hidden:
            reasons[place] = (
                f"the weights of {kind} are not kept with LayerStack.recompute_grads = True: bind "
                "it to False"
            )
        elif place not in shown and kind not in _FEED_FORWARD:
            reasons[place] = f"{kind} computes no weights for pairs of positions"
    return reasons


def title(objects: Mapping[str, transformer.TransformerLayer]) -> str:
    mixing = [
        layer
        for layer in objects.values()
        if type(layer).__name__ not in _FEED_FORWARD
        and not isinstance(layer, transformer_layers.EncDecAttention)
    ]
    return " / ".join(dict.fromkeys(_letters(layer) for layer in mixing))


def _letters(layer: transformer.TransformerLayer) -> str:
    if isinstance(layer, SyntheticAttention):
        return notation(layer.synthesizer)
    kind = type(layer).__name__
    return _T5_LETTER.get(kind, kind)


def notation(function: Any) -> str:
    """A function in the paper's letters: R, FR+V; R+V (sum) without α; R | V in different heads."""
    if isinstance(function, Sum):
        return f"{_joined(function)} (sum)"
    if isinstance(function, Mixture):
        return _joined(function)
    if isinstance(function, Heads):
        return " | ".join(notation(term) for term in function.functions)
    kind = type(function).__name__
    return _LETTERS.get(kind, kind)


def _joined(function: Mixture | Sum) -> str:
    return "+".join(notation(term) for term in function.functions)
