"""Attention of T5's own layers with logits in the order of matrix products.

Mesh orders logits as [batch, length, heads, memory_length]. Matrix products need
[batch, heads, length, memory_length], so a training step transposes Mesh's logits six times, and
Mesh's softmax makes seven passes of its own. Here the smaller queries, keys and values are
transposed, and the softmax takes two passes forward and backward. While decoding, the keys and
values of the encoder's output, which all steps read, are kept in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import attention

from mtf_synthesizer.mesh import products
from mtf_synthesizer.mesh.attended import attended, softmax

# Mesh's own function.
MESH_ATTENTION = attention.attention


@gin.configurable(module="mtf_synthesizer")
def attention_core(function: Callable[..., mtf.Tensor] = MESH_ATTENTION) -> Callable[..., Any]:
    """Return the function from queries, keys and values to outputs in T5's attention layers.

    In gin: `attention_core.function = @ordered_attention`.
    """
    return function


@gin.configurable(module="mtf_synthesizer")
def ordered_attention(
    q: mtf.Tensor,
    k: mtf.Tensor,
    v: mtf.Tensor,
    memory_length_dim: mtf.Dimension,
    key_dim: mtf.Dimension,
    value_dim: mtf.Dimension,
    bias: mtf.Tensor | None = None,
    dropout_rate: float = 0.0,
    dropout_broadcast_dims: Sequence[mtf.Dimension] | None = None,
    context: Any = None,
    float32_logits: bool = True,
    **others: Any,
) -> mtf.Tensor:
    """Compute Mesh's `attention.attention`, with equal outputs.

    Mesh itself computes anything beyond softmax(q k + bias) v with one dropout mask for all
    queries, and decoding from keys and values in another order than `kept_for_decoding`'s.

    Args:
      q: [..., key], for example [batch, length, heads, key].
      k: [..., memory_length, key].
      v: [..., memory_length, value].
      memory_length_dim: dimension of the keys.
      key_dim: dimension that q and k are multiplied along.
      value_dim: dimension of the values.
      bias: term added to the logits, or None.
      dropout_rate: share of the weights dropped in training.
      dropout_broadcast_dims: dimensions of the weights that share a dropout mask.
      context: Mesh's context.
      float32_logits: whether q and k are multiplied as float32.
      **others: further parameters of Mesh's function.

    Returns:
      A tensor with the dimensions of q, with `value_dim` instead of `key_dim`.
    """
    order = _Order(q, k, v, memory_length_dim, key_dim, value_dim)
    broadcast = list(dropout_broadcast_dims or ())
    plain = (
        context is not None
        and context.mode != "first_part"
        and not any(value is not None for value in others.values())
        and order.fits(bias)
        and not _is_reshaped(context, q, k, v, bias, [key_dim, value_dim])
    )
    if plain and context.mode == "incremental" and order.is_of(k, v):
        return _step(q, k, v, bias, order)
    if not plain or context.mode == "incremental" or not order.shares_masks(broadcast):
        return MESH_ATTENTION(
            q, k, v, memory_length_dim, key_dim, value_dim, bias, dropout_rate,
            dropout_broadcast_dims, context=context, float32_logits=float32_logits, **others,
        )  # fmt: skip
    if float32_logits:
        q, k = (mtf.cast(x, tf.float32) for x in (q, k))
    q = mtf.transpose(q, order.queries)
    k = mtf.transpose(k, order.keys)
    v = mtf.dropout(v, context.train, rate=dropout_rate, noise_shape=order.noise(broadcast))
    logits = mtf.layers.us_einsum([q, k], order.weights, reduced_dims=[key_dim])
    if bias is not None:
        logits = mtf.add(logits, mtf.cast(bias, logits.dtype), output_shape=order.weights)
    v = mtf.transpose(v, order.values)
    _, outputs = attended(mtf.cast(logits, tf.float32), v, order.outputs)
    return outputs


def _step(
    q: mtf.Tensor, k: mtf.Tensor, v: mtf.Tensor, bias: mtf.Tensor | None, order: _Order
) -> mtf.Tensor:
    """Return the outputs of one position, from keys and values in the order of `order`."""
    logits = products.stacked(q, k, order.weights)
    if bias is not None:
        logits = mtf.add(logits, bias, output_shape=order.weights)
    return products.stacked(softmax(logits), v, order.outputs)


def kept_for_decoding(state: Any) -> Any:
    """Return keys and values of the encoder's output in the order of `_step`'s products.

    Args:
      state: tensors that a layer keeps for all steps of decoding. Anything but T5's keys
        [..., key], values [..., value] and the dimension of their positions is returned unchanged.
    """
    match state:
        case (mtf.Tensor() as k, mtf.Tensor() as v, mtf.Dimension() as memory):
            if memory in k.shape.dims and memory in v.shape.dims:
                return products.as_matrices(k, memory), products.as_matrices(v, memory), memory
    return state


class _Order:
    """Dimensions of queries, keys, values and weights, with the shared dimensions first."""

    def __init__(
        self,
        q: mtf.Tensor,
        k: mtf.Tensor,
        v: mtf.Tensor,
        memory: mtf.Dimension,
        key: mtf.Dimension,
        value: mtf.Dimension,
    ):
        shared = [d for d in q.shape.dims if d in k.shape.dims and d != key]
        own = [d for d in q.shape.dims if d not in shared and d != key]
        self._own = own
        self._plain = set(k.shape.dims) == {*shared, memory, key} and set(v.shape.dims) == {
            *shared,
            memory,
            value,
        }
        self._value_dims = [d for d in v.shape.dims if d != value]
        self.queries = mtf.Shape([*shared, *own, key])
        self.keys = mtf.Shape([*shared, memory, key])
        self.values = mtf.Shape([*shared, memory, value])
        self.weights = mtf.Shape([*shared, *own, memory])
        self.outputs = q.shape - key + value

    def fits(self, bias: mtf.Tensor | None) -> bool:
        """Return whether the operands have these dimensions, in any order."""
        biased = set(bias.shape.dims) if bias is not None else set()
        return self._plain and biased <= set(self.weights.dims)

    def is_of(self, k: mtf.Tensor, v: mtf.Tensor) -> bool:
        """Return whether keys and values are in this order, and float32."""
        shapes = (k.shape, v.shape) == (self.keys, self.values)
        return shapes and k.dtype == v.dtype == tf.float32

    def shares_masks(self, broadcast: Sequence[mtf.Dimension]) -> bool:
        """Return whether all queries share a dropout mask."""
        return set(self._own) <= set(broadcast)

    def noise(self, broadcast: Sequence[mtf.Dimension]) -> mtf.Shape:
        """Return the dimensions of the dropout mask."""
        return mtf.Shape([d for d in self._value_dims if d not in broadcast])


def _is_reshaped(context: Any, *arguments: Any) -> bool:
    """Return whether Mesh reshapes the operands, for layouts over two dimensions."""
    *operands, _ = arguments
    reshaped = attention.maybe_reshape_attention_input_for_2d_sharding(context, *arguments)
    return any(new is not old for new, old in zip(reshaped, operands, strict=True))
