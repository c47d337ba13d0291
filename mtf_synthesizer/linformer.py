"""Linformer's self-attention (Wang et al. 2020, https://arxiv.org/abs/2006.04768), for encoders."""

from __future__ import annotations

import mtf_synthesizer.compat  # noqa: F401  isort:skip
import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer import masks
from mtf_synthesizer.interface import cached
from mtf_synthesizer.positions import Looked, Range, within_sequences
from mtf_synthesizer.projections import Projections, head_dims


@gin.configurable
class Linformer(transformer.TransformerLayer):
    """Y = softmax(Q (E K)^T) F V: keys and values projected from the length to a rank.

    Equation 7 of the paper; 1/sqrt(d_k) is in the initializer of W_Q, as in T5. E and F are
    tables of `max_length` rows, indexed by the position of a token within its own sequence, with
    padding left out of the sums: a sequence gets the same attention alone, padded to any length,
    and packed with others.

    Rows that are not packed cost O(length * rank), as in the paper. Packed rows are exact but cost
    O(length^2) like the dot product, since each sequence of a row has projected keys of its own:
    train with `pack = False` where speed counts.

    Variables: q, k, v and o as in T5's attention; `linformer/e` and `linformer/f`
    [heads, max_length, rank], without heads if shared.

    Args:
      max_length: rows of the tables, n.
      rank: projected length, k; the comparison with factorized Synthesizers has 32 (Table 7).
      shared_heads: one E and one F for all heads ("headwise sharing" in the paper).
      num_heads: number of heads.
      key_value_size: d_kv, the width of one head.
      dropout_rate: share of attention weights dropped in training; as in T5 one mask for each
        example, head and projected key, shared by all queries.

    Raises:
      ValueError: a parameter is out of range, or (when called) the stack is causal, the length is
        beyond max_length, or the model needs what the layer does not offer.
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
        for name, value in (("max_length", max_length), ("rank", rank), ("num_heads", num_heads)):
            if value < 1:
                raise ValueError(f"Linformer.{name} is {value}; it must be at least 1")
        if not 0 <= dropout_rate < 1:
            raise ValueError(
                f"Linformer.dropout_rate is {dropout_rate}; it must be at least 0 and below 1"
            )
        self.max_length = max_length
        self.rank = mtf.Dimension("rank", rank)
        self.shared_heads = shared_heads
        self.heads, _ = head_dims(num_heads, 0)
        self.kv = mtf.Dimension("d_kv", key_value_size)
        self.dropout_rate = dropout_rate

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """The layer's output.

        Args:
          context: Mesh's context.
          x: [batch, length, d_model].
          losses: unused, as in `SelfAttention`.

        Returns:
          A tensor of x's shape.
        """
        self._check(context)
        projections = self._projections(context)
        memory = mtf.Dimension("memory_length", context.length_dim.size)
        antecedent = mtf.replace_dimensions(x, context.length_dim, memory)
        query = projections.compute_q(x)
        key, value = projections.compute_k(antecedent), projections.compute_v(antecedent)
        with tf.variable_scope("linformer"):
            tables = self._table(context, "e"), self._table(context, "f")
        attend = self._together if masks.sequences(context) is None else self._packed
        outputs = attend(context, query, key, value, *tables)
        return projections.compute_output(outputs, output_shape=x.shape)

    def _check(self, context: transformer.Context) -> None:
        if context.model.ensemble_dims:
            raise ValueError(
                "Linformer does not offer ensembles: leave Unitransformer.ensemble unset"
            )
        if context.model.autoregressive:
            raise ValueError(
                f"{tf.get_variable_scope().name}: Linformer is for encoders: its projected keys "
                "mix all positions, so a decoder would see the future; choose another layer in "
                "decoder/transformer.make_layer_stack.layers, or a size that ends in _encoder"
            )
        length = context.length_dim.size
        if length > self.max_length:
            raise ValueError(
                f"{tf.get_variable_scope().name}: length {length} is beyond Linformer.max_length "
                f"= {self.max_length}; raise the macro max_length, or shorten the batch (macro "
                "inputs_length)"
            )

    def _projections(self, context: transformer.Context) -> Projections:
        return Projections(
            context.mesh,
            query_input_dim=context.model.model_dim,
            memory_input_dim=context.model.model_dim,
            output_dim=context.model.model_dim,
            key_dim=self.kv,
            value_dim=self.kv,
            query_heads_dims=self.heads,
            memory_heads_dims=self.heads,
            variable_dtype=context.variable_dtype,
        )

    @property
    def _rows(self) -> mtf.Dimension:
        return mtf.Dimension("linformer_length", self.max_length)

    def _table(self, context: transformer.Context, name: str) -> mtf.Tensor:
        # A projected key is then about as large as a key of a full row.
        return mtf.get_variable(
            context.mesh,
            name,
            mtf.Shape([*([] if self.shared_heads else self.heads), self._rows, self.rank]),
            initializer=tf.random_normal_initializer(stddev=self.max_length**-0.5),
            dtype=context.variable_dtype,
        )

    def _together(
        self,
        context: transformer.Context,
        query: mtf.Tensor,
        key: mtf.Tensor,
        value: mtf.Tensor,
        e: mtf.Tensor,
        f: mtf.Tensor,
    ) -> mtf.Tensor:
        """Rows that hold one sequence each: keys and values projected once for all queries."""
        memory = mtf.Dimension("memory_length", context.length_dim.size)
        e, f = (Range(memory).rows(table, self._rows) for table in (e, f))
        present = masks.padding(context, memory)
        if present is not None:
            key, value = (x * mtf.cast(present, x.dtype) for x in (key, value))
        projected = mtf.Shape([*context.batch_dims, *self.heads, self.rank, self.kv])
        key, value = mtf.einsum([e, key], projected), mtf.einsum([f, value], projected)
        logits = mtf.einsum([query, key], self._weights_shape(context))
        return mtf.einsum([self._weights(context, logits), value], query.shape)

    def _packed(
        self,
        context: transformer.Context,
        query: mtf.Tensor,
        key: mtf.Tensor,
        value: mtf.Tensor,
        e: mtf.Tensor,
        f: mtf.Tensor,
    ) -> mtf.Tensor:
        """The same for packed rows: Q (E K)^T as (Q K^T) E^T, masked in between."""
        memory = mtf.Dimension("memory_length", context.length_dim.size)
        same, positions = self._layout(context, memory)
        e, f = (Looked(positions, memory.size).rows(table, self._rows) for table in (e, f))
        matrix = mtf.Shape([*context.batch_dims, *self.heads, context.length_dim, memory])
        products = mtf.einsum([query, key], matrix) * mtf.cast(same, query.dtype)
        logits = mtf.einsum([products, e], self._weights_shape(context))
        mixed = mtf.einsum([self._weights(context, logits), f], matrix)
        return mtf.einsum([mixed * mtf.cast(same, query.dtype), value], query.shape)

    def _layout(
        self, context: transformer.Context, memory: mtf.Dimension
    ) -> tuple[mtf.Tensor, mtf.Tensor]:
        """Which pairs of positions are of one sequence, and the keys' positions within theirs."""
        ids = masks.sequences(context)

        def layout() -> tuple[mtf.Tensor, mtf.Tensor]:
            keys = mtf.replace_dimensions(ids, context.length_dim, memory)
            return mtf.equal(ids, keys), within_sequences(keys, memory)

        return cached(context, ("linformer", ids), layout)

    def _weights_shape(self, context: transformer.Context) -> mtf.Shape:
        return mtf.Shape([*context.batch_dims, *self.heads, context.length_dim, self.rank])

    def _weights(self, context: transformer.Context, logits: mtf.Tensor) -> mtf.Tensor:
        weights = mtf.softmax(mtf.cast(logits, tf.float32), self.rank)
        return mtf.dropout(
            mtf.cast(weights, logits.dtype),
            context.train,
            rate=self.dropout_rate,
            noise_shape=weights.shape - context.length_dim,
        )
