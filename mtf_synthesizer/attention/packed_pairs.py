"""Look-ups in tables of position pairs for packed rows.

A table T[h, p, q] holds the logit of a token at position p of a sequence for a token at position q.
The tokens i and j of one sequence in a packed row need T[h, p_i, p_j]. The layer masks pairs of
different sequences, so their values may be anything finite and have no gradient.

The backward pass is fast for this reason. Within a sequence no two tokens share a position, so the
sum over all look-ups is a gather by the inverse of the positions, and a sum over rows.
"""

from __future__ import annotations

from typing import NamedTuple

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh.lookup import check_whole, sum_over_lookups


class Pairs(NamedTuple):
    """Table entry of every pair of tokens, and the inverse map.

    Attributes:
      positions: int32 [batch, length], p_i.
      index: int32 [batch, length, memory_length], p_i * memory_length.size + p_j.
      inverse: int32 [batch, length, key_position], the offset j of the token at a position of the
        sequence of token i.
      known: bool of the same shape, False if that sequence has no such token.
    """

    positions: mtf.Tensor
    index: mtf.Tensor
    inverse: mtf.Tensor
    known: mtf.Tensor


class Tokens(NamedTuple):
    """Queries or keys of packed rows.

    Attributes:
      dim: length or memory_length.
      sequence_id: int32 [batch, dim].
      positions: int32 [batch, dim], within their sequences; keys of a sequence differ.
    """

    dim: mtf.Dimension
    sequence_id: mtf.Tensor
    positions: mtf.Tensor

    def in_order(self) -> Tokens:
        """Return the tokens with dim as the last dimension."""
        batch = [d for d in self.sequence_id.shape.dims if d != self.dim]
        shape = mtf.Shape([*batch, self.dim])
        return Tokens(
            self.dim, mtf.transpose(self.sequence_id, shape), mtf.transpose(self.positions, shape)
        )


def of_sequences(queries: Tokens, keys: Tokens) -> Pairs:
    """Return the pairs of packed rows."""
    queries, keys = queries.in_order(), keys.in_order()
    columns = mtf.Dimension("key_position", keys.dim.size)
    inverse, known = _Inverse(
        queries.sequence_id, keys.sequence_id, keys.positions, columns
    ).outputs
    shape = queries.positions.shape + keys.dim
    index = mtf.add(queries.positions * columns.size, keys.positions, output_shape=shape)
    return Pairs(queries.positions, index, inverse, known)


def take_pairs(table: mtf.Tensor, pairs: Pairs) -> mtf.Tensor:
    """Return T[..., p_i, p_j].

    Args:
      table: [..., query_position, key_position]; the layout must not split these two.
      pairs: pairs of the batch.

    Returns:
      [..., batch, length, memory_length].
    """
    return _TakePairs(table, pairs).outputs[0]


class _TakePairs(mtf.Operation):
    def __init__(self, table: mtf.Tensor, pairs: Pairs):
        super().__init__([table, *pairs], name="take_pairs")
        shape = mtf.Shape(table.shape.dims[:-2] + pairs.index.shape.dims)
        self._outputs = [mtf.Tensor(self, shape, table.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        table, *pairs = self.inputs
        to_table = _TakePairsGradient(grad_ys[0], table, Pairs(*pairs)).outputs[0]
        return [to_table, None, None, None, None]

    def lower(self, lowering: mtf.Lowering) -> None:
        def gather(table: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
            heads = table.shape.as_list()[:-2]
            entries = tf.reshape(table, [_size(heads), -1])
            # The heads of an entry lie side by side, so that a look-up copies one short row.
            taken = tf.gather(tf.transpose(entries), tf.reshape(index, [-1]))
            return tf.reshape(tf.transpose(taken), heads + index.shape.as_list())

        mesh_impl = lowering.mesh_impl(self)
        table, _, index, _, _ = self.inputs
        for dim in table.shape.dims[-2:]:
            check_whole(mesh_impl, dim)
        y = mesh_impl.slicewise(gather, lowering.tensors[table], lowering.tensors[index])
        lowering.set_tensor_lowering(self.outputs[0], y)


class _TakePairsGradient(mtf.Operation):
    def __init__(self, grad: mtf.Tensor, table: mtf.Tensor, pairs: Pairs):
        super().__init__(
            [grad, pairs.positions, pairs.inverse, pairs.known], name="take_pairs_gradient"
        )
        self._looked_up = mtf.Shape(pairs.index.shape.dims)
        self._outputs = [mtf.Tensor(self, table.shape, table.dtype)]

    def lower(self, lowering: mtf.Lowering) -> None:
        rows = self.outputs[0].shape.dims[-2].size

        def scatter(
            dy: tf.Tensor, positions: tf.Tensor, inverse: tf.Tensor, known: tf.Tensor
        ) -> tf.Tensor:
            heads, keys = dy.shape.as_list()[: -positions.shape.ndims - 1], dy.shape.as_list()[-1]
            columns = inverse.shape.as_list()[-1]
            entries = tf.transpose(tf.reshape(dy, [_size(heads), -1]))
            # First from offsets to key positions, row by row, then add rows of equal position.
            inverse = tf.reshape(inverse, [-1, columns])
            starts = keys * tf.range(inverse.shape[0], dtype=inverse.dtype)
            taken = tf.gather(entries, inverse + starts[:, tf.newaxis])
            # Sums of many small terms lose digits in bfloat16, so they are computed in float32.
            known = tf.cast(tf.reshape(known, [-1, columns, 1]), tf.float32)
            taken = tf.cast(taken, tf.float32) * known
            total = tf.math.unsorted_segment_sum(taken, tf.reshape(positions, [-1]), rows)
            total = tf.reshape(tf.transpose(total, [2, 0, 1]), [*heads, rows, columns])
            return tf.cast(total, dy.dtype)

        tensors = (lowering.tensors[x] for x in self.inputs)
        dx = lowering.mesh_impl(self).slicewise(scatter, *tensors)
        dx = sum_over_lookups(lowering, self, dx, self._looked_up)
        lowering.set_tensor_lowering(self.outputs[0], dx)


class _Inverse(mtf.Operation):
    """Offsets of keys by sequence and position, and which of them exist."""

    def __init__(
        self,
        query_id: mtf.Tensor,
        key_id: mtf.Tensor,
        key_positions: mtf.Tensor,
        columns: mtf.Dimension,
    ):
        super().__init__([query_id, key_id, key_positions], name="inverse_positions")
        self._columns = columns
        shape = query_id.shape + columns
        self._outputs = [
            mtf.Tensor(self, shape, tf.int32, index=0),
            mtf.Tensor(self, shape, tf.bool, index=1),
        ]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        return [None, None, None]

    def lower(self, lowering: mtf.Lowering) -> None:
        mesh_impl = lowering.mesh_impl(self)
        check_whole(mesh_impl, self._columns)
        columns = self._columns.size

        def invert(
            query_id: tf.Tensor, key_id: tf.Tensor, positions: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            shape = query_id.shape.as_list()
            query_id, key_id, positions = (
                tf.reshape(x, [-1, x.shape.as_list()[-1]]) for x in (query_id, key_id, positions)
            )
            rows, keys = key_id.shape.as_list()
            # The offset of its first token identifies a sequence here.
            same = tf.equal(key_id[:, :, tf.newaxis], key_id[:, tf.newaxis, :])
            first = tf.argmax(same, axis=-1, output_type=tf.int32)
            row = tf.tile(tf.range(rows)[:, tf.newaxis], [1, keys])
            indices = tf.stack([row, first, positions], axis=-1)
            offsets = tf.tile(1 + tf.range(keys)[tf.newaxis], [rows, 1])
            table = tf.scatter_nd(indices, offsets, [rows, keys, columns])
            same = tf.equal(query_id[:, :, tf.newaxis], key_id[:, tf.newaxis, :])
            own = tf.argmax(same, axis=-1, output_type=tf.int32)
            shifted = tf.gather(table, own, batch_dims=1)
            known = tf.logical_and(shifted > 0, tf.reduce_any(same, -1, keepdims=True))
            inverse = tf.maximum(shifted - 1, 0)
            return tuple(tf.reshape(x, [*shape, columns]) for x in (inverse, known))

        tensors = (lowering.tensors[x] for x in self.inputs)
        results = mesh_impl.slicewise(invert, *tensors)
        for output, result in zip(self.outputs, results, strict=True):
            lowering.set_tensor_lowering(output, result)


def _size(dims: list[int]) -> int:
    return mtf.Shape([mtf.Dimension(f"_{i}", n) for i, n in enumerate(dims)]).size
