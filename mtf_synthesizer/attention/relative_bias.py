"""T5's relative position biases: logits that depend on the distance of two tokens.

`KINDS` has one function for each value of T5's `relative_attention_type`. Each function returns a
float32 bias [(batch,) heads, (length,) memory_length] in some order. Variables have T5's names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer_layers

from mtf_synthesizer.attention.interface import View, cached
from mtf_synthesizer.mesh.lookup import take


def per_layer(view: View, buckets: mtf.Dimension) -> mtf.Tensor:
    """Return a learned bias for each head and bucket of distances.

    Variables: relative_attention_bias [heads, buckets].
    """
    return _of_buckets(_variable(view, buckets), view, buckets)


def shared_by_stack(view: View, buckets: mtf.Dimension) -> mtf.Tensor:
    """Return a bias as `per_layer` does, with one variable for all layers of a stack, as in T5."""
    cache = view.context.cache
    # The cache key of Mesh's own layers, so that both kinds share the variable in one stack.
    key: tuple[Any, ...] = ("self_attention_bias", None, None, tuple(view.heads))
    if view.group is not None:  # groups of one size are different heads
        key += (view.group,)
    if key not in cache:
        cache[key] = _variable(view, buckets)
    return cached(
        view.context,
        ("relative bias", view.group, *view.heads, view.memory_length),
        lambda: _of_buckets(cache[key], view, buckets),
    )


def contextual(view: View, buckets: mtf.Dimension) -> mtf.Tensor:
    """Return a bias for each bucket that is a linear function of the query.

    Variables: relative_attention_ak [heads, d_kv, buckets] and the query's variable q.
    """
    values = mtf.layers.dense(
        view.query(),
        reduced_dims=[view.kv],
        new_dims=[buckets],
        variable_dtype=view.context.variable_dtype,
        name="relative_attention_ak",
        use_bias=False,
        expert_dims=view.heads,
    )
    return _of_buckets(values, view, buckets)


KINDS: dict[str, Callable[[View, mtf.Dimension], mtf.Tensor]] = {
    "bias": per_layer,
    "bias_shared": shared_by_stack,
    "contextual": contextual,
}


def _variable(view: View, buckets: mtf.Dimension) -> mtf.Tensor:
    return mtf.get_variable(
        view.context.mesh,
        "relative_attention_bias",
        mtf.Shape([*view.heads, buckets]),
        dtype=view.context.variable_dtype,
    )


def _of_buckets(values: mtf.Tensor, view: View, buckets: mtf.Dimension) -> mtf.Tensor:
    indices = cached(
        view.context,
        ("buckets", view.memory_length, buckets),
        lambda: _bucket_of_each_pair(view, buckets),
    )
    return mtf.cast(take(values, indices, buckets), tf.float32)


def _bucket_of_each_pair(view: View, buckets: mtf.Dimension) -> mtf.Tensor:
    return transformer_layers._relative_position_bucket(
        view.distances(),
        bidirectional=not view.context.model.fully_autoregressive,
        num_buckets=buckets.size,
    )
