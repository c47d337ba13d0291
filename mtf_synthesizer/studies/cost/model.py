"""Parameters and FLOPs of a model by formula: layers of its stacks, embedding and softmax.

A model with layers outside `LAYERS` can only be counted from its graph (`graph`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import mtf_synthesizer.runtime.compat

from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention.cost import Cost, NoFormula, product, weights
from mtf_synthesizer.studies.cost.layers import BIAS, LAYERS, Parts, Stack, kind
from mtf_synthesizer.upstream.graph import Model


@dataclasses.dataclass(frozen=True)
class Batch:
    """The batch that FLOPs are counted for.

    Attributes:
      rows: number of rows.
      lengths: tokens of a row for each stack, from the first stack to the last.
      packed: whether rows may hold several sequences.
    """

    rows: int
    lengths: tuple[int, ...]
    packed: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a model.

    Attributes:
      component: "embedding", "softmax", or a stack followed by "norms" or the class of a layer.
      detail: part of the component, or an empty text.
      cost: cost of all layers of the stack together.
    """

    component: str
    detail: str
    cost: Cost


# Function between the layers -> whether it has a scale for each dimension of the model.
SUBLAYERS = {
    "sublayer_call_layer": False,
    "sublayer_dropout": False,
    "sublayer_legacy_dropout": False,
    "sublayer_legacy_final_rms_norm": True,
    "sublayer_legacy_rms_norm": True,
    "sublayer_mark_padding": False,
    "sublayer_residual": False,
    "sublayer_rms_norm": True,
}

# Embeddings with one variable [vocabulary, d_model].
_EMBEDDINGS = ("VocabEmbedding", "GatheredEmbedding")


def of_model(model: Model, batch: Batch) -> list[Part]:
    """All parts of a model.

    Raises:
      NoFormula: a layer, a function between layers or an embedding has no formula.
    """
    stacks = _stacks(model, batch)
    parts = [Part("embedding", "", _embeddings(model))]
    for stack in stacks:
        for (layer, detail), cost in _layers(stack).items():
            parts.append(Part(f"{stack.model.name} {layer}", detail, cost))
    return [*parts, Part("softmax", "", _softmax(stacks[-1]))]


def _stacks(model: Model, batch: Batch) -> list[Stack]:
    if not isinstance(model, transformer.Bitransformer):
        marked = "sublayer_mark_padding" in _names(model.layer_stack._sublayers_initial)
        return [Stack(model, batch.rows, batch.lengths[0], 0, batch.packed, marked)]
    inputs, targets = batch.lengths
    return [
        Stack(model.encoder, batch.rows, inputs, 0, batch.packed, True),
        Stack(model.decoder, batch.rows, targets, inputs, batch.packed, True),
    ]


def _layers(stack: Stack) -> dict[tuple[str, str], Cost]:
    """Costs of all layers of a stack together: (class, part) -> cost."""
    layers = stack.model.layer_stack
    if type(layers) is not transformer.LayerStack or layers._recompute_grads:
        raise NoFormula(layers)
    total: dict[tuple[str, str], Cost] = {}
    bias_is_there = False
    for layer in layers.layers:
        for detail, cost in _layer(layer, stack).items():
            if detail == BIAS and layer.relative_attention_type == "bias_shared":
                cost = Cost() if bias_is_there else cost
                bias_is_there = True
            key = (type(layer).__name__, detail)
            total[key] = total.get(key, Cost()) + cost
    return total | {("norms", ""): _norms(layers, stack)}


def _layer(layer: transformer.TransformerLayer, stack: Stack) -> Parts:
    name = kind(type(layer))
    if name not in LAYERS:
        raise NoFormula(layer)
    return LAYERS[name](layer, stack)


def _norms(layers: transformer.LayerStack, stack: Stack) -> Cost:
    per_layer = _scales(layers, layers._sublayers_per_layer)
    once = _scales(layers, [*layers._sublayers_initial, *layers._sublayers_final])
    return weights(once + len(layers.layers) * per_layer, stack.width)


def _scales(layers: transformer.LayerStack, sublayers: list[Callable[..., Any]]) -> int:
    if not set(_names(sublayers)) <= set(SUBLAYERS):
        raise NoFormula(layers)
    return sum(SUBLAYERS[name] for name in _names(sublayers))


def _names(sublayers: list[Callable[..., Any]]) -> list[str]:
    return [sublayer.__name__ for sublayer in sublayers]


def _embeddings(model: Model) -> Cost:
    """Cost of the embeddings, which are looked up: no FLOPs."""
    if not isinstance(model, transformer.Bitransformer):
        return _embedding(model)
    if not model.shared_embedding:
        return _embedding(model.encoder) + _embedding(model.decoder)
    total = _embedding(model.encoder)
    if _positions(model.decoder) != _positions(model.encoder):
        total += _positions(model.decoder)
    return total


def _embedding(model: transformer.Unitransformer) -> Cost:
    kind = transformer.get_vocab_embedding_cls()
    if kind.__name__ not in _EMBEDDINGS:
        raise NoFormula(kind)
    return weights(model.input_vocab_dim.size, model.model_dim.size) + _positions(model)


def _positions(model: transformer.Unitransformer) -> Cost:
    if not model.positional_embedding or model.sinusoid_positional_embedding:
        return Cost()
    return weights(model.max_length_dim.size, model.model_dim.size)


def _softmax(stack: Stack) -> Cost:
    """Cost of the logits over the vocabulary."""
    vocabulary = stack.model.output_vocab_dim
    if vocabulary is None:
        return Cost()
    logits = product(stack.tokens, stack.width, vocabulary.size)
    tied = stack.model.shared_embedding_and_softmax_weights
    return logits if tied else logits + weights(stack.width, vocabulary.size)
