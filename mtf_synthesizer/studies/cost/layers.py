"""Parameters and FLOPs of a layer by formula: our layers, and T5's layers around them.

`LAYERS` has one formula for each class of layer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import mtf_synthesizer.runtime.compat

from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention.cost import (
    Cost,
    NoFormula,
    Sizes,
    product,
    projection,
    queries_and_keys,
    weights,
)
from mtf_synthesizer.attention.cross import SyntheticEncDecAttention
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.baselines.convolutions import Convolution, DynamicConv, LightConv
from mtf_synthesizer.baselines.layer import BaselineLayer
from mtf_synthesizer.baselines.linformer import Linformer
from mtf_synthesizer.baselines.mixer import TokenMixing


@dataclasses.dataclass(frozen=True)
class Stack:
    """The properties of a stack that a layer's cost depends on.

    Attributes:
      model: Mesh's model around the stack.
      batch: rows of the batch.
      length: tokens of a row.
      memory_length: tokens of a row of the encoder's output; 0 without an encoder.
      packed: whether rows may hold several sequences.
      masks_padding: whether the layers know which positions are padding.
    """

    model: transformer.Unitransformer
    batch: int
    length: int
    memory_length: int
    packed: bool
    masks_padding: bool

    @property
    def tokens(self) -> int:
        return self.batch * self.length

    @property
    def width(self) -> int:
        return int(self.model.model_dim.size)


# Name of a part of a layer -> its cost.
Parts = dict[str, Cost]
BIAS = "relative position bias"


def synthetic_attention(layer: SyntheticAttention, stack: Stack) -> Parts:
    """Cost of softmax(S(X)) G(X): S with its queries and keys, G(X) with the output, softmax."""
    if layer.groups:
        return _added([synthetic_attention(group, stack) for group in layer.groups])
    general = stack.packed or stack.model.input_full_attention
    return _synthetic(layer, stack, _sizes(layer, stack), general)


def synthetic_over_encoder(layer: SyntheticEncDecAttention, stack: Stack) -> Parts:
    """Cost of softmax(S) G(M): queries of the decoder, keys and values of the encoder's output."""
    if layer.groups:
        return _added([synthetic_over_encoder(group, stack) for group in layer.groups])
    sizes = dataclasses.replace(_sizes(layer, stack), memory_length=stack.memory_length)
    return _synthetic(layer, stack, sizes, stack.packed)


def _synthetic(layer: SyntheticAttention, stack: Stack, sizes: Sizes, general: bool) -> Parts:
    """Cost of a layer; general: whether masks differ between examples."""
    bias = _relative_bias(layer, sizes)
    assert isinstance(layer.synthesizer, SynthesizingFunction)
    function = layer.synthesizer.cost(sizes)
    projections = queries_and_keys(function + bias, sizes, layer.shared_kv)
    trained = 1 if (function + bias).is_trained else 0
    mixed = product(*_pairs(sizes), sizes.d_kv, gradients=1 + trained)
    general = general or function.depends_on_example or bias.depends_on_example
    general = general or layer.extra_logit is not None
    # Sums over logits that no variable takes part in are constants, not counted from the graph.
    if stack.masks_padding and not general and (function + bias).parameters:
        mixed += product(*_pairs(sizes), gradients=trained)  # the sums over real tokens
    return {
        "synthesizing function": function + projections,
        BIAS: bias,
        "values and output": _values_and_output(layer, sizes, sizes.keys),
        "weighting of values": mixed,
    }


def _added(groups: list[Parts]) -> Parts:
    return {part: sum((group[part] for group in groups), Cost()) for part in groups[0]}


def self_attention(layer: transformer_layers.SelfAttention, stack: Stack) -> Parts:
    """Cost of T5's own layer."""
    _check_stock(layer)
    sizes = _sizes(layer, stack)
    products = product(*_pairs(sizes), sizes.d_kv)
    bias = _relative_bias(layer, sizes)
    projections = queries_and_keys(Cost(dot_products=1), sizes, layer.shared_kv)
    return {
        "dot product": products + projections,
        BIAS: bias,
        "values and output": _values_and_output(layer, sizes, sizes.length),
        "weighting of values": products,
    }


def attention_over_encoder(layer: transformer_layers.EncDecAttention, stack: Stack) -> Parts:
    """Cost of queries of the decoder, keys and values of the encoder's output."""
    _check_stock(layer)
    if layer.relative_attention_type is not None:
        raise NoFormula(layer)
    sizes = _sizes(layer, stack)
    memory_tokens = stack.batch * stack.memory_length
    pairs = (sizes.batch, sizes.heads, sizes.length, stack.memory_length, sizes.d_kv)
    keys = Cost()
    if not layer.shared_kv:
        keys = projection(memory_tokens, sizes.d_model, sizes.memory_heads * sizes.d_kv)
    queries = projection(stack.tokens, sizes.d_model, sizes.heads * sizes.d_kv)
    return {
        "dot product": queries + keys + product(*pairs),
        "values and output": _values_and_output(layer, sizes, stack.memory_length),
        "weighting of values": product(*pairs),
    }


def feed_forward(layer: transformer_layers.DenseReluDense, stack: Stack) -> Parts:
    """Cost of one input matrix for each activation and one output matrix."""
    activations = layer.activation if isinstance(layer.activation, list) else [layer.activation]
    total = projection(stack.tokens, layer.hidden_size, stack.width)
    for _ in activations:
        total += projection(stack.tokens, stack.width, layer.hidden_size)
    if layer.use_bias:
        total += weights(len(activations) * layer.hidden_size + stack.width)
    return {"": total}


def kind(layer: type) -> str:
    """The name of a class of layers in tables of formulas.

    Gin may have replaced the class by a subclass of the same name, so the class can't be the key.
    """
    return f"{layer.__module__}.{layer.__qualname__}"


Formulas = dict[str, Callable[[Any, Stack], Parts]]


def _sizes(layer: transformer_layers.SelfAttention, stack: Stack) -> Sizes:
    return Sizes(
        batch=stack.batch,
        length=stack.length,
        d_model=stack.width,
        d_kv=layer.key_value_size,
        heads=layer.num_heads,
        memory_heads=1 if layer.num_heads == 1 else layer.num_memory_heads or layer.num_heads,
        packed=stack.packed,
    )


def _pairs(sizes: Sizes) -> tuple[int, int, int, int]:
    return sizes.batch, sizes.heads, sizes.length, sizes.keys


def _values_and_output(
    layer: transformer_layers.SelfAttention, sizes: Sizes, memory_length: int
) -> Cost:
    values = projection(sizes.batch * memory_length, sizes.d_model, sizes.memory_heads * sizes.d_kv)
    return values + projection(sizes.batch * sizes.length, sizes.heads * sizes.d_kv, sizes.d_model)


def _relative_bias(layer: transformer_layers.SelfAttention, sizes: Sizes) -> Cost:
    buckets = layer.relative_attention_num_buckets
    if layer.relative_attention_type is None:
        return Cost()
    if layer.relative_attention_type != "contextual":
        return weights(sizes.heads, buckets)
    values = product(sizes.batch, sizes.length, sizes.heads, sizes.d_kv, buckets)
    used = Cost(takes_query=True, depends_on_example=True)
    return weights(sizes.heads, sizes.d_kv, buckets) + values + used


def _check_stock(layer: transformer_layers.SelfAttention) -> None:
    """Refuse options of T5's layer that add variables or products."""
    if (
        layer.attention_func
        or layer.keep_query_heads_dims
        or layer.hyperprompt_length_encoder
        or layer.hyperprompt_length_decoder
    ):
        raise NoFormula(layer)


def light_conv(layer: LightConv, stack: Stack) -> Parts:
    """Cost of one kernel for each head; element-wise products don't count as FLOPs."""
    kernel = weights(_heads(layer), layer.width.size)
    return {"kernel": kernel, "values, gate and output": _gated(layer, stack)}


def dynamic_conv(layer: DynamicConv, stack: Stack) -> Parts:
    """Cost of a kernel for each head, predicted from all channels of the token."""
    kernel = projection(stack.tokens, _inner(layer), _heads(layer), layer.width.size)
    return {"kernel": kernel, "values, gate and output": _gated(layer, stack)}


def linformer(layer: Linformer, stack: Stack) -> Parts:
    """Cost of keys and values projected to a rank; packed rows multiply all pairs of tokens."""
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
    """Cost of a table for each head and its product with the values."""
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
    kind(SyntheticAttention): synthetic_attention,
    kind(SyntheticEncDecAttention): synthetic_over_encoder,
    kind(transformer_layers.SelfAttention): self_attention,
    kind(transformer_layers.EncDecAttention): attention_over_encoder,
    kind(transformer_layers.DenseReluDense): feed_forward,
    kind(LightConv): light_conv,
    kind(DynamicConv): dynamic_conv,
    kind(Linformer): linformer,
    kind(TokenMixing): token_mixing,
}
