"""The interface of a synthesizing function, and its view of the layer that asks for logits."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention import packed_pairs
from mtf_synthesizer.attention.cost import Cost, NoFormula, Sizes
from mtf_synthesizer.attention.positions import (
    LengthPolicy,
    Looked,
    Positions,
    Range,
    within_sequences,
)
from mtf_synthesizer.attention.projections import Projections
from mtf_synthesizer.mesh import products
from mtf_synthesizer.mesh.lookup import chosen


class SynthesizingFunction(abc.ABC):
    """S of softmax(S(X)) G(X): a way to synthesize attention logits (paper, Section 3).

    A constructor only stores numbers. `logits` makes the variables, in the layer's variable scope
    under `scope`, which is the class name in snake case. A second function of the same class in
    one layer gets the scope with the suffix `_1`.
    """

    scope: str

    @abc.abstractmethod
    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        """Return the attention logits before any mask.

        Args:
          context: Mesh's context of the stack.
          x: the layer's input, [batch, length, d_model], without length while decoding.
          view: heads, dimensions and positions.

        Returns:
          A tensor with `view.heads`, `view.memory_length` and (outside decoding) `view.length`.
          The logits have the batch dimensions if and only if they depend on the example. A layer
          whose logits have no batch dimension never builds an attention matrix per example.
        """

    def cost(self, sizes: Sizes) -> Cost:
        """Return parameters of one layer and FLOPs of `logits`, without the layer's own q and k.

        Raises:
          NoFormula: the class has no formula; the cost can still be counted from the graph.
        """
        raise NoFormula(self)


class View:
    """A synthesizing function's view of its layer, for one call.

    Attributes:
      context: Mesh's context.
      heads: the layer's head dimensions: [] with one head, [heads], or [heads, query_heads].
      kv: d_kv, the width of one head.
      length: query length L of this batch (also while decoding, when x has no such dimension).
      memory_length: key length M of this batch.
      queries: positions of the queries within their sequences.
      keys: positions of the keys within their sequences.
      sequences: int32 [batch, length], the sequence of each token; None unless rows may be packed.
      group: number of the group of heads, if the layer has several groups.
    """

    group: int | None = None

    def __init__(
        self,
        context: transformer.Context,
        x: mtf.Tensor,
        memory_length: mtf.Dimension,
        projections: Projections,
        sequences: mtf.Tensor | None,
    ):
        self.context = context
        self.heads: list[mtf.Dimension] = projections.query_heads_dims
        self.kv = projections.key_dim
        self.length = context.length_dim
        self.memory_length = memory_length
        self.sequences = sequences
        self.queries, self.keys = self._positions(sequences)
        self._x = x
        self._projections = projections
        self._scope = tf.get_variable_scope()
        self._scopes: dict[str, int] = {}
        self._query: mtf.Tensor | None = None
        self._shared: mtf.Tensor | None = None

    @property
    def decoding(self) -> bool:
        """True in an incremental decoding step, in which x is a single position."""
        return self.context.mode == "incremental"

    @property
    def shape(self) -> mtf.Shape:
        """The fastest order of logits: [heads, batch, length, memory_length]."""
        length = [] if self.decoding else [self.length]
        return mtf.Shape([*self.heads, *self.context.batch_dims, *length, self.memory_length])

    def in_order(self, logits: mtf.Tensor) -> mtf.Tensor:
        """Return logits, or a part of them, with dimensions in the order of `shape`."""
        return mtf.transpose(logits, self._part([logits]))

    def plus(self, x: mtf.Tensor, y: mtf.Tensor) -> mtf.Tensor:
        """Return the sum of two parts of logits, with dimensions in the order of `shape`."""
        return mtf.add(x, y, output_shape=self._part([x, y]))

    def product(self, x: mtf.Tensor, y: mtf.Tensor) -> mtf.Tensor:
        """Return the product of x and y, summed over all dimensions that logits do not have."""
        return self.multiply(x, y, self._part([x, y]))

    def multiply(self, rows: mtf.Tensor, matrices: mtf.Tensor, shape: mtf.Shape) -> mtf.Tensor:
        """Return `mtf.einsum([rows, matrices], shape)`, sooner for one query and a cache."""
        if self.decoding and matrices.shape.dims[-2:] == [self.memory_length, self.kv]:
            return products.stacked(rows, matrices, shape)
        return mtf.einsum([rows, matrices], shape)

    def _part(self, tensors: list[mtf.Tensor]) -> mtf.Shape:
        present = {d for tensor in tensors for d in tensor.shape.dims}
        return mtf.Shape([d for d in self.shape.dims if d in present])

    def of_packed_rows(self, table: mtf.Tensor) -> mtf.Tensor:
        """Look up a table over position pairs for each pair of tokens in packed rows.

        Args:
          table: [heads, query_position, key_position], both as long as the rows.

        Returns:
          [heads, batch, length, memory_length]; arbitrary for tokens of different sequences.
        """
        sequences, queries, keys = self.sequences, self.queries, self.keys
        assert sequences is not None, "rows are not packed"
        assert isinstance(queries, Looked) and isinstance(keys, Looked)

        def pairs() -> packed_pairs.Pairs:
            return packed_pairs.of_sequences(
                packed_pairs.Tokens(self.length, sequences, queries.positions),
                packed_pairs.Tokens(self.memory_length, self.key_sequences(), keys.positions),
            )

        pair_indices = cached(self.context, ("pairs", sequences, self.memory_length), pairs)
        return packed_pairs.take_pairs(table, pair_indices)

    def key_sequences(self) -> mtf.Tensor:
        """Return the sequence of each key, int32 [batch, memory_length], in packed rows."""
        assert self.sequences is not None
        return mtf.replace_dimensions(self.sequences, self.length, self.memory_length)

    def query(self) -> mtf.Tensor:
        """Return W_Q x, [batch, heads, length, d_kv] in some order; computed on first use."""
        if self._query is None:
            with self._layer_scope():
                self._query = self._projections.compute_q(self._x)
        return self._query

    def query_and_key(self) -> tuple[mtf.Tensor, mtf.Tensor]:
        """Return the projections for a dot product.

        The first dot product uses the layer's q and k. A second product has its own projections.

        Returns:
          W_Q x [batch, heads, length, d_kv] and W_K x [batch, heads, memory_length, d_kv], each
          in some order. While decoding, the keys cover all positions so far.
        """
        first = "dot_product" not in self._scopes
        with self.variable_scope("dot_product"):
            if not first:
                return self._projections.compute_q(self._x), self._key()
        with self._layer_scope():
            return self.query(), self._key()

    def value(self) -> mtf.Tensor:
        """Return G(X) = W_V x, [batch, heads, memory_length, d_kv] in some order."""
        if self._projections.shared_kv:
            return self._key_and_value()
        return self._of_memory(self._projections.compute_v)

    def tokens(self, present: mtf.Tensor) -> mtf.Tensor:
        """Return which queries are real tokens, bool [batch, length], from those of the keys."""
        return mtf.replace_dimensions(present, self.memory_length, self.length)

    def distances(self) -> mtf.Tensor:
        """Return p_j - p_i for each query i and key j of one sequence.

        Returns:
          int32 [(length,) memory_length], with the batch dimensions while rows of different lengths
          are decoded.
        """
        # Offsets in the row suffice: within a sequence their differences equal those of positions.
        query = self.context.position
        if not self.decoding:
            query = mtf.range(self.context.mesh, self.length, tf.int32)
        return mtf.range(self.context.mesh, self.memory_length, tf.int32) - query

    def _key(self) -> mtf.Tensor:
        if self._projections.shared_kv:
            return self._key_and_value()
        return self._of_memory(self._projections.compute_k)

    def _key_and_value(self) -> mtf.Tensor:
        if self._shared is None:
            with self._layer_scope():
                self._shared = self._of_memory(self._projections.compute_kv)
        return self._shared

    def _of_memory(self, project: Callable[[mtf.Tensor], mtf.Tensor]) -> mtf.Tensor:
        """Return a projection of the keys' tokens."""
        return self.remembered(project(self.memory(self._x)))

    def _layer_scope(self) -> contextlib.AbstractContextManager:
        # The caller may have opened a scope of its own, but q, k and v belong to the layer.
        return tf.variable_scope(self._scope, auxiliary_name_scope=False)

    def memory(self, x: mtf.Tensor) -> mtf.Tensor:
        """Return x with `length` renamed to `memory_length`; unchanged while decoding."""
        if self.decoding:
            return x
        return mtf.replace_dimensions(x, self.length, self.memory_length)

    def remembered(self, x: mtf.Tensor) -> mtf.Tensor:
        """Return keys or values of all positions so far: x, or the cache with x while decoding."""
        context = self.context
        if self.decoding:
            (old,) = context.get_states(1)
            is_current = mtf.equal(
                mtf.range(context.mesh, self.memory_length, tf.int32), context.position
            )
            x = chosen(is_current, x, old)
        elif context.mode == "first_part":
            x = products.as_matrices(x, self.memory_length)
        if context.mode in ("first_part", "incremental"):
            context.record_new_states([x])
        return x

    @contextlib.contextmanager
    def variable_scope(self, name: str) -> Iterator[None]:
        """Open the variable scope `name`, `name_1` for its second use in this layer, and so on."""
        used = self._scopes.get(name, 0)
        self._scopes[name] = used + 1
        with tf.variable_scope(f"{name}_{used}" if used else name):
            yield

    def positions_for(
        self, positions: Positions, max_length: int, policy: LengthPolicy, owner: str
    ) -> Positions:
        """Return positions as indices of a table of size `max_length`, by the length policy."""
        longest = max(self.length.size, self.memory_length.size)
        return policy.indices(positions, longest, max_length, owner)

    def _positions(self, sequences: mtf.Tensor | None) -> tuple[Positions, Positions]:
        if self.decoding:
            # Full rows still count up while other rows in the batch are decoded.
            position = mtf.minimum(self.context.position, self.length.size - 1)
            return Looked(position, self.length.size), Range(self.memory_length)
        if sequences is None:
            return Range(self.length), Range(self.memory_length)

        def recover() -> tuple[mtf.Tensor, mtf.Tensor]:
            queries = within_sequences(sequences, self.length)
            return queries, mtf.replace_dimensions(queries, self.length, self.memory_length)

        queries, keys = cached(self.context, ("positions", sequences), recover)
        return Looked(queries, self.length.size), Looked(keys, self.memory_length.size)


def cached(context: transformer.Context, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """Return `make()`, shared by all layers of a stack through `context.cache`.

    A tensor made inside a recomputed layer (`LayerStack.recompute_grads`) can't be used outside of
    that layer, so such tensors are made again.
    """

    key = ("mtf_synthesizer", *key)
    if key not in context.cache or not all(t.usable for t in _tensors(context.cache[key])):
        context.cache[key] = make()
    return context.cache[key]


def _tensors(structure: Any) -> list[mtf.Tensor]:
    return list(structure) if isinstance(structure, tuple) else [structure]
