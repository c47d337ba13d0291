"""Positions of tokens within their own sequences, and tables indexed by these positions.

A synthesizing function indexes its table by p, the position of a token within its own sequence,
never by the offset in a row. A sequence then gets the same attention alone, packed with others, and
while decoding. Two classes look a table up by p: rows with one sequence take a slice; packed rows
and single decoded positions gather.
"""

from __future__ import annotations

import abc

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh.lookup import take


class Positions(abc.ABC):
    """Positions p of a set of tokens, each in [0, limit)."""

    limit: int

    @abc.abstractmethod
    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        """Return `table` with the dimension `dim` looked up at p.

        Args:
          table: a tensor with dimension `dim`, `dim.size` at least `limit`.
          dim: the dimension of positions.

        Returns:
          `table` with `dim` replaced by the dimensions of the positions, in any order.
        """

    @abc.abstractmethod
    def modulo(self, period: int) -> Positions:
        """Return the positions p mod period."""


class Range(Positions):
    """0, 1, ..., period - 1, 0, 1, ... along a dimension: rows that hold one sequence each.

    Args:
      dim: the dimension along which the tokens lie.
      period: the number of positions before they start again from 0; None for never.
    """

    def __init__(self, dim: mtf.Dimension, period: int | None = None):
        self.dim = dim
        self.limit = min(period or dim.size, dim.size)

    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        copies = -(-self.dim.size // self.limit)
        table = _first(table, dim, self.limit)
        if copies > 1:
            table = mtf.concat([table] * copies, dim.name)
        tiled = mtf.Dimension(dim.name, copies * self.limit)
        return mtf.rename_dimension(_first(table, tiled, self.dim.size), dim.name, self.dim.name)

    def modulo(self, period: int) -> Positions:
        return self if period >= self.limit else Range(self.dim, period)


class Looked(Positions):
    """Positions in a tensor: packed rows, or the single position being decoded.

    Args:
      positions: an int32 tensor, [batch, length] or [batch] or [].
      limit: a bound above all positions.
    """

    def __init__(self, positions: mtf.Tensor, limit: int):
        self.positions = positions
        self.limit = limit

    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        if self.positions.shape.size < self.limit:  # the single position being decoded
            return take(table, self.positions, dim)
        # Rows beyond the limit can't occur; copying them and their gradients would be wasted.
        return take(
            _first(table, dim, self.limit), self.positions, mtf.Dimension(dim.name, self.limit)
        )

    def modulo(self, period: int) -> Positions:
        if period >= self.limit:
            return self
        return Looked(mtf.mod(self.positions, period), period)


def within_sequences(sequence_id: mtf.Tensor, length: mtf.Dimension) -> mtf.Tensor:
    """Compute positions within sequences: p_i = number of j < i with s_j = s_i.

    Args:
      sequence_id: an int32 tensor [..., length].
      length: the dimension along which the tokens lie.

    Returns:
      An int32 tensor of the same shape.
    """
    earlier = mtf.Dimension("earlier", length.size)
    mesh = sequence_id.mesh
    before = mtf.less(mtf.range(mesh, earlier, tf.int32), mtf.range(mesh, length, tf.int32))
    same = mtf.equal(mtf.rename_dimension(sequence_id, length.name, earlier.name), sequence_id)
    return mtf.reduce_sum(
        mtf.cast(mtf.logical_and(same, before), tf.int32), output_shape=sequence_id.shape
    )


def _first(x: mtf.Tensor, dim: mtf.Dimension, size: int) -> mtf.Tensor:
    return x if dim.size == size else mtf.slice(x, 0, size, dim.name)


class LengthPolicy(abc.ABC):
    """Treatment of sequences longer than a table."""

    @abc.abstractmethod
    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        """Return rows of a table of size `max_length` for a batch with this length."""

    def rows(self, length: int, max_length: int) -> int:
        """Return how many rows of a table a batch of this length reads.

        Raises:
          NoFormula: reading them has a cost of its own.
        """
        return min(length, max_length)


@gin.configurable(module="mtf_synthesizer")
class Refuse(LengthPolicy):
    """Raise a ValueError, when the graph is built, for lengths beyond the table."""

    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        if length <= max_length:
            return positions
        raise ValueError(
            f"{tf.get_variable_scope().name}: length {length} exceeds {owner}.max_length = "
            f"{max_length}. Raise the macro max_length (binding {owner}.max_length), shorten the "
            f"batch (macros inputs_length and targets_length), or bind "
            f"{owner}.beyond_max_length = @Tile()"
        )


@gin.configurable(module="mtf_synthesizer")
class Tile(LengthPolicy):
    """Tile a table of size b to the length: row p mod b (paper, end of Section 3.1)."""

    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        return positions.modulo(max_length)
