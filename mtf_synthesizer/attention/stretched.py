"""Tables of b rows for longer sequences: rows between two of the table, or learned mixtures of all.

Both stretch a whole table to a fixed length, so that a sequence gets the same attention in batches
of any length, packed with others, and while decoding.
"""

from __future__ import annotations

import abc

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer.attention.checks import check_at_least
from mtf_synthesizer.attention.cost import NoFormula
from mtf_synthesizer.attention.positions import LengthPolicy, Positions
from mtf_synthesizer.mesh.lookup import take


class StretchedPolicy(LengthPolicy):
    """A policy that makes a table of `length` rows from one of `max_length` rows.

    Args:
      length: rows of the longest batch.
    """

    def __init__(self, length: int):
        self.length = check_at_least(2, f"{type(self).__name__}.length", length)

    def indices(self, positions: Positions, length: int, max_length: int, owner: str) -> Positions:
        """Return positions in the stretched table.

        Raises:
          ValueError: the batch is longer than that.
        """
        if length > self.length:
            name = type(self).__name__
            raise ValueError(
                f"{tf.get_variable_scope().name}: length {length} exceeds {name}.length = "
                f"{self.length}. Bind {name}.length = {length} or more, or shorten the batch"
            )
        return Stretched(positions, self, max_length)

    @abc.abstractmethod
    def stretch(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        """Return the table with `length` rows along `dim`."""


class Stretched(Positions):
    """Positions in a table that a policy stretches before it is looked up."""

    def __init__(self, positions: Positions, policy: StretchedPolicy, max_length: int):
        self._positions = positions
        self._policy = policy
        self.limit = max_length

    def rows(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        if dim.size > self.limit:  # of a factorized dense function
            table = mtf.slice(table, 0, self.limit, dim.name)
            dim = mtf.Dimension(dim.name, self.limit)
        table = self._policy.stretch(table, dim)
        return self._positions.rows(table, mtf.Dimension(dim.name, self._policy.length))

    def modulo(self, period: int) -> Positions:
        raise NotImplementedError("a stretched table has no period")


@gin.configurable(module="mtf_synthesizer")
class Interpolate(StretchedPolicy):
    """Stretch a table of b rows to `length`: row p (b - 1) / (length - 1), between two rows.

    Args:
      length: positions that the table is stretched over.
    """

    def rows(self, length: int, max_length: int) -> int:
        return max_length

    def stretch(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        places = np.arange(self.length) * (dim.size - 1) / (self.length - 1)
        below = np.minimum(np.floor(places).astype(np.int32), max(dim.size - 2, 0))
        stretched = mtf.Shape([mtf.Dimension("stretched", self.length)])

        def constant(values: np.ndarray, dtype: tf.DType) -> mtf.Tensor:
            return mtf.import_tf_tensor(table.mesh, tf.constant(values, dtype), stretched)

        share = constant(places - below, table.dtype)
        first = take(table, constant(below, tf.int32), dim)
        second = take(table, constant(np.minimum(below + 1, dim.size - 1), tf.int32), dim)
        mixed = mtf.rename_dimension(first + (second - first) * share, "stretched", dim.name)
        return mtf.transpose(mixed, _with(table.shape, dim, self.length))


@gin.configurable(module="mtf_synthesizer")
class LearnedTile(StretchedPolicy):
    """Row p of a table of b rows is a learned mixture of them, at the start row p mod b.

    This is the paper's "project to a smaller value b and tile b to the maximum sequence length"
    (end of Section 3.1) with a tiling that is trained; all heads share it.

    Variables: tile_<dimension> [position, row], under the function's scope.

    Args:
      length: positions that the table is stretched over.
    """

    def rows(self, length: int, max_length: int) -> int:
        raise NoFormula(self)

    def stretch(self, table: mtf.Tensor, dim: mtf.Dimension) -> mtf.Tensor:
        all_positions, rows = mtf.Dimension("position", self.length), mtf.Dimension("row", dim.size)
        start = np.eye(dim.size)[np.arange(self.length) % dim.size]
        tile = mtf.get_variable(
            table.mesh,
            f"tile_{dim.name}",
            mtf.Shape([all_positions, rows]),
            initializer=tf.constant_initializer(start),
            activation_dtype=table.dtype,
        )
        ordered = [all_positions if d == dim else d for d in table.shape.dims]
        table = mtf.rename_dimension(table, dim.name, rows.name)
        mixed = mtf.einsum([table, tile], mtf.Shape(ordered))
        return mtf.rename_dimension(mixed, all_positions.name, dim.name)


def _with(shape: mtf.Shape, dim: mtf.Dimension, size: int) -> mtf.Shape:
    """Return a shape with another size of a dimension."""
    return mtf.Shape([mtf.Dimension(d.name, size) if d == dim else d for d in shape.dims])
