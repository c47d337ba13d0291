"""Linformer's self-attention (Wang et al. 2020, https://arxiv.org/abs/2006.04768), for encoders."""

from __future__ import annotations

from typing import NamedTuple

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention import masks
from mtf_synthesizer.attention.checks import check_at_least, refuse_decoder
from mtf_synthesizer.attention.interface import View
from mtf_synthesizer.attention.projections import Projections
from mtf_synthesizer.baselines.layer import BaselineLayer


@gin.configurable(module="mtf_synthesizer")
class Linformer(BaselineLayer):
    """Y = softmax(Q (E K)^T) F V: keys and values projected from the length to a rank.

    Equation 7 of Wang et al.; the initializer of W_Q contains 1/sqrt(d_k), as in T5. E and F are
    tables of `max_length` rows, indexed by the position of a token within its own sequence, and
    the sums leave padding out. A sequence therefore gets the same attention alone, padded to any
    length, and packed with others.

    Unpacked rows cost O(length * rank), as in Wang et al. Packed rows are exact but cost
    O(length^2) like the dot product, because each sequence of a row has its own projected keys. For
    speed train with `pack = False`.

    Variables: q, k, v and o as in T5's attention; `linformer/e` and `linformer/f`
    [heads, max_length, rank], without heads if shared.

    Args:
      max_length: rows of the tables, n.
      rank: projected length, k; the comparison with factorized Synthesizers has 32 (Table 7).
      shared_heads: whether all heads share one E and one F ("headwise sharing" of Wang et al.).
      num_heads: number of heads.
      key_value_size: d_kv, the width of one head.
      dropout_rate: share of attention weights dropped in training. As in T5, one mask for each
        example, head and projected key is shared by all queries.

    Raises:
      ValueError: a parameter is out of range, or (when called) the stack is causal, the length
        exceeds max_length, or the model needs a feature that the layer does not support.
    """

    def __init__(
        self,
        max_length: int = 512,
        rank: int = 32,
        shared_heads: bool = False,
        num_heads: int = 8,
        key_value_size: int = 128,
        dropout_rate: float = 0.0,
    ):
        super().__init__(num_heads, key_value_size, dropout_rate)
        self.max_length = check_at_least(1, "Linformer.max_length", max_length)
        self.rank = mtf.Dimension("rank", check_at_least(1, "Linformer.rank", rank))
        self.shared_heads = shared_heads

    def check(self, context: transformer.Context) -> None:
        """Raise a ValueError for ensembles, decoders and rows longer than the tables."""
        super().check(context)
        refuse_decoder(
            "Linformer",
            context,
            "its projected keys mix all positions, so a decoder would see the future",
        )
        length = context.length_dim.size
        if length > self.max_length:
            raise ValueError(
                f"{tf.get_variable_scope().name}: length {length} exceeds Linformer.max_length = "
                f"{self.max_length}. Raise the macro max_length, or shorten the batch (macro "
                "inputs_length)"
            )

    def mixed(
        self, context: transformer.Context, x: mtf.Tensor, projections: Projections
    ) -> mtf.Tensor:
        """Return the attention over the projected keys, [batch, length, heads, d_kv]."""
        memory = mtf.Dimension("memory_length", context.length_dim.size)
        view = View(context, x, memory, projections, masks.sequences(context))
        query, key = view.query_and_key()
        with tf.variable_scope("linformer"):
            e, f = (view.keys.rows(self._table(context, name), self._rows) for name in "ef")
        operands = _Operands(query, key, view.value(), e, f)
        same = masks.same_sequence(context, memory)
        if same is None:
            return self._together(context, view, operands)
        return self._packed(context, view, operands, mtf.cast(same, query.dtype))

    @property
    def _rows(self) -> mtf.Dimension:
        return mtf.Dimension("linformer_length", self.max_length)

    def _table(self, context: transformer.Context, name: str) -> mtf.Tensor:
        # With this scale a projected key is about as large as a key of a full row.
        initializer = tf.random_normal_initializer(stddev=self.max_length**-0.5)
        heads = [] if self.shared_heads else self.heads
        return self.variable(context, name, [*heads, self._rows, self.rank], initializer)

    def _together(
        self, context: transformer.Context, view: View, operands: _Operands
    ) -> mtf.Tensor:
        """Attend in rows with one sequence: project keys and values once for all queries."""
        key, value = operands.key, operands.value
        present = masks.padding(context, view.memory_length)
        if present is not None:
            key, value = (x * mtf.cast(present, x.dtype) for x in (key, value))
        projected = mtf.Shape([*context.batch_dims, *self.heads, self.rank, self.kv])
        key, value = (
            mtf.einsum([operands.e, key], projected),
            mtf.einsum([operands.f, value], projected),
        )
        weights = self._weights(context, [operands.query, key])
        return mtf.einsum([weights, value], operands.query.shape)

    def _packed(
        self, context: transformer.Context, view: View, operands: _Operands, same: mtf.Tensor
    ) -> mtf.Tensor:
        """Attend in packed rows: Q (E K)^T as (Q K^T) E^T, masked in between."""
        matrix = mtf.Shape([*context.batch_dims, *self.heads, view.length, view.memory_length])
        products = mtf.einsum([operands.query, operands.key], matrix) * same
        weights = self._weights(context, [products, operands.e])
        mixed = mtf.einsum([weights, operands.f], matrix) * same
        return mtf.einsum([mixed, operands.value], operands.query.shape)

    def _weights(self, context: transformer.Context, factors: list[mtf.Tensor]) -> mtf.Tensor:
        """Return the softmax of a product over the rank, [batch, heads, length, rank]."""
        logits = mtf.einsum(
            factors, mtf.Shape([*context.batch_dims, *self.heads, context.length_dim, self.rank])
        )
        weights = mtf.softmax(mtf.cast(logits, tf.float32), self.rank)
        return mtf.dropout(
            mtf.cast(weights, logits.dtype),
            context.train,
            rate=self.dropout_rate,
            noise_shape=weights.shape - context.length_dim,
        )


class _Operands(NamedTuple):
    """Queries, keys and values, and the tables looked up at the keys' positions."""

    query: mtf.Tensor
    key: mtf.Tensor
    value: mtf.Tensor
    e: mtf.Tensor
    f: mtf.Tensor
