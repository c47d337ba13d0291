"""Attention of T5's layers, as chosen by gin."""

from __future__ import annotations

from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import attention, transformer

from mtf_synthesizer.mesh.dot_product import MESH_ATTENTION, attention_core, kept_for_decoding

_RECORD = transformer.Context.record_constant_state


def install() -> None:
    """Make T5's attention layers use `attention_core`: Mesh's attention unless gin binds it."""
    attention.attention = _attention
    transformer.Context.record_constant_state = _record_constant_state


def _attention(*args: Any, **kwargs: Any) -> mtf.Tensor:
    return attention_core()(*args, **kwargs)


def _record_constant_state(context: transformer.Context, state: Any) -> None:
    """Keep what all steps of decoding read; in the order of our products if gin chose them."""
    ordered = attention_core() is not MESH_ATTENTION
    _RECORD(context, kept_for_decoding(state) if ordered else state)
