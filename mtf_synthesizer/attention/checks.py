"""Options of layers that are refused, in the same words everywhere."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer


def at_least(least: int, binding: str, value: int, why: str = "") -> int:
    """`value`, or a ValueError for what is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"{binding} is {value!r}; it must be a whole number of at least {least}{why}"
        )
    return value


def share(binding: str, value: float) -> float:
    """`value`, or a ValueError for what is no rate of dropout."""
    if not 0 <= value < 1:
        raise ValueError(f"{binding} is {value!r}; it must be at least 0 and below 1")
    return value


def no_ensembles(layer: str, context: transformer.Context) -> None:
    """Refuses models whose variables have a dimension of Mesh's ensembles."""
    if context.model.ensemble_dims:
        raise ValueError(f"{layer} does not offer ensembles: leave Unitransformer.ensemble unset")


def no_decoder(layer: str, context: transformer.Context, why: str) -> None:
    """Refuses decoders for a layer that is for encoders."""
    if context.model.autoregressive:
        raise ValueError(
            f"{tf.get_variable_scope().name}: {layer} is for encoders: {why}; choose another layer "
            "in decoder/transformer.make_layer_stack.layers, or a size that ends in _encoder"
        )
