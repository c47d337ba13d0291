"""Token mixing of an MLP-Mixer (Tolstikhin et al. 2021, https://arxiv.org/abs/2105.01601).

The Synthesizer paper calls Random Synthesizers a form of MLP-Mixer: this is R without the softmax.
"""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention import masks
from mtf_synthesizer.attention.checks import check_at_least
from mtf_synthesizer.attention.interface import View
from mtf_synthesizer.attention.positions import LengthPolicy, Refuse
from mtf_synthesizer.attention.projections import Projections
from mtf_synthesizer.baselines.layer import BaselineLayer


@gin.configurable(module="mtf_synthesizer")
class TokenMixing(BaselineLayer):
    """Y[h, i] = sum_j R[h, p_i, p_j] visible(i, j) G(X)[h, j], with G(X) = W_V X.

    A linear map along the length for each head, without softmax or other normalisation. With one
    head, and W_V and W_O the identity, it is the product in a Mixer's token mixing. R is indexed by
    the positions of tokens within their own sequences. Keys that are padding, in another sequence
    or (in a decoder) in the future contribute 0.

    Variables: v and o as in T5's attention, and token_mixing/table [heads, query_position,
    key_position], max_length x max_length for each head. Its initial standard deviation is
    1/sqrt(max_length), as for the Mixer's linear maps. A full row of values of size 1 then has
    outputs of size 1.

    Args:
      max_length: N, the length of the table.
      beyond_max_length: treatment of longer batches; `Refuse` by default.
      num_heads: number of heads h; a Mixer has one.
      key_value_size: d_kv, the width of one head.
      dropout_rate: share of values dropped in training. As for T5's attention weights, one mask for
        each example, head and key is shared by all queries.

    Raises:
      ValueError: a parameter is out of range, or (when called) the length exceeds max_length.
    """

    def __init__(
        self,
        max_length: int = 512,
        beyond_max_length: LengthPolicy | None = None,
        num_heads: int = 8,
        key_value_size: int = 128,
        dropout_rate: float = 0.0,
    ):
        super().__init__(num_heads, key_value_size, dropout_rate)
        self.max_length = check_at_least(1, "TokenMixing.max_length", max_length)
        self.beyond_max_length = beyond_max_length or Refuse()

    def mixed(
        self, context: transformer.Context, x: mtf.Tensor, projections: Projections
    ) -> mtf.Tensor:
        """Return the product of table and values, [batch, length, heads, d_kv]."""
        memory = mtf.Dimension("memory_length", context.length_dim.size)
        view = View(context, x, memory, projections, masks.sequences(context))
        table = self._table(view)
        for visible in (masks.causal(context, memory), masks.same_sequence(context, memory)):
            if visible is not None:
                table *= mtf.cast(visible, table.dtype)
        return self._product(view, table, self._values(view))

    def _product(self, view: View, table: mtf.Tensor, values: mtf.Tensor) -> mtf.Tensor:
        batch = view.context.batch_dims
        length = [] if view.decoding else [view.length]
        shape = mtf.Shape([*batch, *length, *self.heads, self.kv])
        if any(dim in batch for dim in table.shape.dims):
            return mtf.einsum([table, values], shape)
        # As in the global path, all examples form the columns of one matrix per head.
        values = mtf.transpose(
            values, mtf.Shape([*self.heads, view.memory_length, *batch, self.kv])
        )
        product = mtf.einsum([table, values], mtf.Shape([*self.heads, *length, *batch, self.kv]))
        return mtf.transpose(product, shape)

    def _table(self, view: View) -> mtf.Tensor:
        """Return R[h, p_i, p_j], with a batch dimension only for packed rows and decoding."""
        # Not named length, because a layout that splits length must not split tables.
        queries = mtf.Dimension("query_position", self.max_length)
        keys = mtf.Dimension("key_position", self.max_length)
        initializer = tf.random_normal_initializer(stddev=self.max_length**-0.5)
        with tf.variable_scope("token_mixing"):
            table = self.variable(view.context, "table", [*self.heads, queries, keys], initializer)
            for positions, dim in ((view.queries, queries), (view.keys, keys)):
                indices = view.positions_for(
                    positions, self.max_length, self.beyond_max_length, type(self).__name__
                )
                table = indices.rows(table, dim)
        return table

    def _values(self, view: View) -> mtf.Tensor:
        values = view.value()
        present = masks.padding(view.context, view.memory_length)
        if present is not None:
            values *= mtf.cast(present, values.dtype)
        return mtf.dropout(
            values, view.context.train, rate=self.dropout_rate, noise_shape=values.shape - self.kv
        )
