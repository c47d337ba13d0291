"""Projections of an attention layer, with variables made on first use.

Names, shapes and initializers equal those of T5's layers, so that checkpoints fit: q, k, v and o
directly under the layer's scope, or kv for a shared k and v.
"""

from __future__ import annotations

from typing import Self

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import attention, transformer


class Projections(attention.AttentionParams):
    """Mesh's attention parameters, except that q, k and v exist only once they are used.

    Mesh's own class can't make v without k. A layer without dot product would then have an unused
    W_K.

    Attributes:
      further_heads: heads whose outputs are added to those of these; they share one initial scale.
    """

    further_heads: int = 0

    @classmethod
    def of_layer(
        cls, context: transformer.Context, heads: list[mtf.Dimension], width: mtf.Dimension
    ) -> Self:
        """Return the projections of a layer with as many memory heads as heads, of one width."""
        model_dim = context.model.model_dim
        return cls(
            context.mesh,
            query_input_dim=model_dim,
            memory_input_dim=model_dim,
            output_dim=model_dim,
            key_dim=width,
            value_dim=width,
            query_heads_dims=heads,
            memory_heads_dims=heads,
            variable_dtype=context.variable_dtype,
        )

    def init_weights(self) -> None:
        """Make no variable yet; `compute_q` and the other methods make them."""

    @property
    def wq(self) -> mtf.Tensor:
        width = self.query_input_dim.size
        if self.fold_scaling_into_initializer:
            width *= self.key_dim.size
        return self._weight("q", self.q_shape, width)

    @property
    def wk(self) -> mtf.Tensor:
        return self._weight("k", self.k_shape, self.memory_input_dim.size)

    @property
    def wv(self) -> mtf.Tensor:
        return self._weight("v", self.v_shape, self.memory_input_dim.size)

    @property
    def wkv(self) -> mtf.Tensor:
        return self._weight("kv", self.k_shape, self.memory_input_dim.size)

    @property
    def wo(self) -> mtf.Tensor:
        inputs = mtf.Shape(self.o_dims).size + self.further_heads * self.value_dim.size
        return self._weight("o", self.o_shape, inputs)

    def _weight(self, name: str, shape: list[mtf.Dimension], fan_in: int) -> mtf.Tensor:
        stddev = 1.0 if mtf.layers.unit_scaling_convention() else fan_in**-0.5
        return mtf.get_variable(
            self.mesh,
            name,
            mtf.Shape(shape),
            initializer=tf.random_normal_initializer(stddev=stddev),
            dtype=self.variable_dtype,
        )


def head_dims(
    num_heads: int, num_memory_heads: int
) -> tuple[list[mtf.Dimension], list[mtf.Dimension]]:
    """Return the dimensions of query heads and of memory heads, as Mesh's `attention_params` does.

    Returns:
      For queries: [] with one head, [heads], or [heads, query_heads] with several memory heads.
      For memory: [] with one (memory) head, else [heads].

    Raises:
      ValueError: num_heads is below 1, or num_memory_heads does not divide it.
    """
    if num_heads < 1:
        raise ValueError(f"SyntheticAttention.num_heads is {num_heads}; it must be at least 1")
    if num_memory_heads and num_heads % num_memory_heads:
        raise ValueError(
            f"SyntheticAttention.num_memory_heads is {num_memory_heads}, which does not divide "
            f"SyntheticAttention.num_heads = {num_heads}. Choose a divisor, or 0 for num_heads"
        )
    if num_heads == 1:
        return [], []
    if num_memory_heads == 0:
        heads = mtf.Dimension("heads", num_heads)
        return [heads], [heads]
    if num_memory_heads == 1:
        return [mtf.Dimension("heads", num_heads)], []
    memory = mtf.Dimension("heads", num_memory_heads)
    return [memory, mtf.Dimension("query_heads", num_heads // num_memory_heads)], [memory]
