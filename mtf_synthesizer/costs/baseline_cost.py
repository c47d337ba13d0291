"""Parameters and FLOPs of the layers that Synthesizers are compared with, by formula."""

from __future__ import annotations

import math

import mtf_synthesizer.compat

from mtf_synthesizer.baselines.baseline_layer import BaselineLayer
from mtf_synthesizer.baselines.convolutions import Convolution, DynamicConv, LightConv
from mtf_synthesizer.baselines.linformer import Linformer
from mtf_synthesizer.baselines.token_mixing import TokenMixing
from mtf_synthesizer.cost import Cost, product, projection, weights
from mtf_synthesizer.costs.layer_cost import Formulas, Parts, Stack, kind


def light_conv(layer: LightConv, stack: Stack) -> Parts:
    """One kernel for each head; it is multiplied element by element, so without FLOPs."""
    kernel = weights(_heads(layer), layer.width.size)
    return {"kernel": kernel, "values, gate and output": _gated(layer, stack)}


def dynamic_conv(layer: DynamicConv, stack: Stack) -> Parts:
    """A kernel for each head that all channels of the token predict."""
    kernel = projection(stack.tokens, _inner(layer), _heads(layer), layer.width.size)
    return {"kernel": kernel, "values, gate and output": _gated(layer, stack)}


def linformer(layer: Linformer, stack: Stack) -> Parts:
    """Keys and values projected to a rank; packed rows multiply all pairs of tokens."""
    heads, kv, rank = _heads(layer), layer.kv.size, layer.rank.size
    own = stack.batch * heads
    table = weights(1 if layer.shared_heads else heads, layer.max_length, rank)
    tables = table + table
    if stack.packed:
        pairs = product(own, stack.length, stack.length, kv)
        projected = product(own, stack.length, stack.length, rank)
    else:
        pairs = product(own, stack.length, kv, rank)
        projected = product(own, stack.length, kv, rank)
    inward = projection(stack.tokens, stack.width, _inner(layer))
    outward = projection(stack.tokens, _inner(layer), stack.width)
    return {
        "dot product": inward + inward + pairs,
        "projection of the length": tables + projected + projected,
        "values and output": inward + outward,
        "weighting of values": pairs,
    }


def token_mixing(layer: TokenMixing, stack: Stack) -> Parts:
    """A table for each head and its product with the values."""
    inner = _inner(layer)
    inward = projection(stack.tokens, stack.width, inner)
    pairs = product(stack.batch, _heads(layer), stack.length, stack.length, layer.kv.size)
    return {
        "table": weights(_heads(layer), layer.max_length, layer.max_length),
        "values and output": inward + projection(stack.tokens, inner, stack.width),
        "weighting of values": pairs,
    }


def _gated(layer: Convolution, stack: Stack) -> Cost:
    inward = projection(stack.tokens, stack.width, _inner(layer))
    return inward + inward + projection(stack.tokens, _inner(layer), stack.width)


def _heads(layer: BaselineLayer) -> int:
    return math.prod(dim.size for dim in layer.heads)


def _inner(layer: BaselineLayer) -> int:
    return _heads(layer) * layer.kv.size


LAYERS: Formulas = {
    kind(LightConv): light_conv,
    kind(DynamicConv): dynamic_conv,
    kind(Linformer): linformer,
    kind(TokenMixing): token_mixing,
}
