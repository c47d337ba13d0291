"""Attention weights of every layer, T5's own included, recorded while a graph is built."""

import contextlib
from collections.abc import Iterator
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import attention as mesh_attention

from mtf_synthesizer.attention import layer
from mtf_synthesizer.attention.layer import Recorded
from mtf_synthesizer.mesh.dot_product import MESH_ATTENTION


@contextlib.contextmanager
def recording() -> Iterator[list[Recorded]]:
    """Record the weights of `SyntheticAttention` and of T5's attention, cross-attention too."""
    own = mesh_attention.attention
    with layer.recording() as recorded:

        def observed(*args: Any, **kwargs: Any) -> mtf.Tensor:
            with _recorded_softmax(recorded):
                return MESH_ATTENTION(*args, **kwargs)  # its weights are the result of a softmax

        mesh_attention.attention = observed
        try:
            yield recorded
        finally:
            mesh_attention.attention = own


@contextlib.contextmanager
def _recorded_softmax(recorded: list[Recorded]) -> Iterator[None]:
    """Record the results of softmax, which are the weights inside Mesh's attention."""
    softmax = mtf.softmax

    def observed(*args: Any, **kwargs: Any) -> mtf.Tensor:
        weights = softmax(*args, **kwargs)
        recorded.append(Recorded(tf.get_variable_scope().name, weights))
        return weights

    mtf.softmax = observed
    try:
        yield
    finally:
        mtf.softmax = softmax
