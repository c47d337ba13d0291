"""The attention of T5's layers, as gin chooses it."""

from __future__ import annotations

from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import attention

from mtf_synthesizer.mesh.dot_product import attention_core


def install() -> None:
    """Makes T5's attention layers ask `attention_core`, which is Mesh's own unless gin binds it."""
    attention.attention = _attention


def _attention(*args: Any, **kwargs: Any) -> mtf.Tensor:
    return attention_core()(*args, **kwargs)
