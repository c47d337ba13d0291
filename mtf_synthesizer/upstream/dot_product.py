"""Attention of T5's layers, as chosen by gin."""

from __future__ import annotations

from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import attention

from mtf_synthesizer.mesh.dot_product import attention_core


def install() -> None:
    """Make T5's attention layers use `attention_core`: Mesh's attention unless gin binds it."""
    attention.attention = _attention


def _attention(*args: Any, **kwargs: Any) -> mtf.Tensor:
    return attention_core()(*args, **kwargs)
