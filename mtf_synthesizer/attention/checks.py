"""Checks of layer options with the same messages for all layers."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer


def check_at_least(minimum: int, binding: str, value: int, reason: str = "") -> int:
    """Return `value`; raise a ValueError unless it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(
            f"{binding} is {value!r}; it must be a whole number of at least {minimum}{reason}"
        )
    return value


def check_rate(binding: str, value: float) -> float:
    """Return `value`; raise a ValueError unless it is a dropout rate in [0, 1)."""
    if not 0 <= value < 1:
        raise ValueError(f"{binding} is {value!r}; it must be a number in [0, 1)")
    return value


def refuse_ensembles(layer: str, context: transformer.Context) -> None:
    """Raise a ValueError for models whose variables have a dimension of Mesh's ensembles."""
    if context.model.ensemble_dims:
        raise ValueError(f"{layer} does not support ensembles: leave Unitransformer.ensemble unset")


def refuse_decoder(layer: str, context: transformer.Context, reason: str) -> None:
    """Raise a ValueError if a layer for encoders is used in a decoder."""
    if context.model.autoregressive:
        raise ValueError(
            f"{tf.get_variable_scope().name}: {layer} is for encoders: {reason}. Choose another "
            "layer in decoder/transformer.make_layer_stack.layers, or a size that ends in _encoder"
        )
