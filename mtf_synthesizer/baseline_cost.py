"""Parameters and FLOPs of the layers that Synthesizers are compared with, by formula."""

from __future__ import annotations

import math

import mtf_synthesizer.compat  # noqa: F401  isort:skip

from mtf_synthesizer.convolutions import Convolution, DynamicConv, LightConv
from mtf_synthesizer.cost import Cost, product, projection, weights
from mtf_synthesizer.layer_cost import Formulas, Parts, Stack, kind
from mtf_synthesizer.linformer import Linformer


def light_conv(layer: LightConv, stack: Stack) -> Parts:
    """One kernel for each head; it is multiplied element by element, so without FLOPs."""
    kernel = weights(_heads(layer), layer.width.size)
    return {"kernel": kernel, "values, gate and output": _gated(layer, stack)}


def dynamic_conv(layer: DynamicConv, stack: Stack) -> Parts:
    """A kernel for each head that all channels of the token predict."""
    inner = _heads(layer) * layer.channels.size
    kernel = projection(stack.tokens, inner, _heads(layer), layer.width.size)
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
    inward = projection(stack.tokens, stack.width, heads * kv)
    outward = projection(stack.tokens, heads * kv, stack.width)
    return {
        "dot product": inward + inward + pairs,
        "projection of the length": tables + projected + projected,
        "values and output": inward + outward,
        "weighting of values": pairs,
    }


def _gated(layer: Convolution, stack: Stack) -> Cost:
    inner = _heads(layer) * layer.channels.size
    inward = projection(stack.tokens, stack.width, inner)
    return inward + inward + projection(stack.tokens, inner, stack.width)


def _heads(layer: Convolution | Linformer) -> int:
    return math.prod(dim.size for dim in layer.heads)


LAYERS: Formulas = {
    kind(LightConv): light_conv,
    kind(DynamicConv): dynamic_conv,
    kind(Linformer): linformer,
}
