"""Norms of T5's stacks, as chosen by gin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.mesh.norm import Norm, rms_norm_core

Sublayer = Callable[[mtf.Tensor, transformer.LayerStack, transformer.Context], mtf.Tensor]

# Mesh's norms -> the scopes of their variables.
_NORMS = {
    transformer.sublayer_rms_norm: "rms_norm",
    transformer.sublayer_legacy_rms_norm: "layer_norm",
    transformer.sublayer_legacy_final_rms_norm: "final_layer_norm",
}
_EPSILON = "mesh_tensorflow.transformer.transformer.sublayer_rms_norm.epsilon"
_call_sublayers = transformer.LayerStack._call_sublayers


def install() -> None:
    """Make T5's stacks use `rms_norm_core` for norms: Mesh's norms unless gin binds it."""
    transformer.LayerStack._call_sublayers = _call_chosen


def _call_chosen(
    stack: transformer.LayerStack,
    sublayers: Sequence[Sublayer],
    x: mtf.Tensor,
    context: transformer.Context,
) -> mtf.Tensor:
    norm = rms_norm_core()
    if norm is not None:
        sublayers = [_replaced(sublayer, norm) for sublayer in sublayers]
    return _call_sublayers(stack, sublayers, x, context)


def _replaced(sublayer: Sublayer, norm: Norm) -> Sublayer:
    if sublayer not in _NORMS:
        return sublayer

    def call(
        x: mtf.Tensor, stack: transformer.LayerStack, context: transformer.Context
    ) -> mtf.Tensor:
        del stack
        with tf.variable_scope(_NORMS[sublayer]):
            scale = mtf.get_variable(
                context.mesh,
                "scale",
                mtf.Shape([*context.model.ensemble_dims, context.model.model_dim]),
                initializer=tf.ones_initializer(),
                dtype=context.variable_dtype,
            )
            return norm(x, scale, _epsilon())

    return call


def _epsilon() -> float:
    try:
        return gin.query_parameter(_EPSILON)
    except ValueError:  # not bound
        return 1e-6  # Mesh's default
