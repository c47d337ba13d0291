"""Positions of tokens within their own sequences, and tables indexed by them.

A table of a synthesizing function is always indexed by p, the position of a token within its own
sequence, never by its offset in a row: a sequence then gets the same attention alone, packed
with others, and while decoding. Two classes know how to look a table up by p: a row that holds
one sequence takes a slice, packed rows and single decoded positions gather.
"""

from __future__ import annotations

import abc

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.mesh.lookup import take


class Positions(abc.ABC):
    """Positions p of some tokens, each in [0, limit)."""

    limit: int

    @abc.abstractmethod
    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        """`table` with the dimension `dim` looked up at p.

        Args:
          table: a tensor with dimension `dim`, `dim.size` at least `limit`.
          dim: the dimension that stands for positions.

        Returns:
          `table` with `dim` replaced by the dimensions of the positions, in any order.
        """

    @abc.abstractmethod
    def modulo(self, period: int) -> Positions:
        """The positions p mod period."""


class Range(Positions):
    """0, 1, ..., period - 1, 0, 1, ... along a dimension: rows that hold one sequence each.

    Args:
      dim: the dimension that the tokens lie along.
      period: where to start again from 0; unless given, never.
    """

    def __init__(self, dim: mtf.Dimension, period: int | None = None):
        self.dim = dim
        self.limit = min(period or dim.size, dim.size)

    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        copies = -(-self.dim.size // self.limit)
        table = _first(table, dim, self.limit)
        if copies > 1:
            table = mtf.concat([table] * copies, dim.name)
        whole = mtf.Dimension(dim.name, copies * self.limit)
        return mtf.rename_dimension(_first(table, whole, self.dim.size), dim.name, self.dim.name)

    def modulo(self, period: int) -> Positions:
        return self if period >= self.limit else Range(self.dim, period)


class Looked(Positions):
    """Positions that a tensor holds: packed rows, or the one position being decoded.

    Args:
      positions: an int32 tensor, [batch, length] or [batch] or [].
      limit: all positions are below it.
    """

    def __init__(self, positions: mtf.Tensor, limit: int):
        self.positions = positions
        self.limit = limit

    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        # Rows that can't occur would be copied in vain, and their gradients too.
        return take(
            _first(table, dim, self.limit), self.positions, mtf.Dimension(dim.name, self.limit)
        )

    def modulo(self, period: int) -> Positions:
        if period >= self.limit:
            return self
        return Looked(mtf.mod(self.positions, period), period)


def within_sequences(sequence_id: mtf.Tensor, length: mtf.Dimension) -> mtf.Tensor:
    """Recovers positions within sequences: p_i = number of j < i with s_j = s_i.

    Args:
      sequence_id: an int32 tensor [..., length].
      length: its dimension along which the tokens lie.

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
    """What a table does with sequences longer than it is."""

    @abc.abstractmethod
    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        """Rows of a table of size `max_length` for positions of a batch of size `length`."""


@gin.configurable(module="mtf_synthesizer")
class Refuse(LengthPolicy):
    """Lengths beyond the table are an error when the graph is built."""

    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        raise ValueError(
            f"{tf.get_variable_scope().name}: length {length} is beyond {owner}.max_length = "
            f"{max_length}; raise the macro max_length (binding {owner}.max_length), shorten the "
            f"batch (macros inputs_length and targets_length), or bind "
            f"{owner}.beyond_max_length = @Tile()"
        )


@gin.configurable(module="mtf_synthesizer")
class Tile(LengthPolicy):
    """The table of size b is tiled to the length: row p mod b (paper, end of Section 3.1)."""

    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        return positions.modulo(max_length)
