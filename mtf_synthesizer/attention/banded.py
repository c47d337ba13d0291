"""R in a band around the token itself: N (2w + 1) weights a head instead of N x N."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention.checks import check_at_least
from mtf_synthesizer.attention.cost import Cost, Sizes, weights
from mtf_synthesizer.attention.interface import SynthesizingFunction, View, cached
from mtf_synthesizer.attention.positions import LengthPolicy, Refuse
from mtf_synthesizer.mesh.late_sums import cast
from mtf_synthesizer.mesh.lookup import take

_OUTSIDE = -1e9  # far below any other logit, and finite


@gin.configurable(module="mtf_synthesizer")
class BandedRandom(SynthesizingFunction):
    """S[h, i, j] = R[h, p_i, p_j - p_i] if abs(p_j - p_i) <= w, else -1e9.

    A query with no visible key in its band, which only an encoder's output can leave without one,
    attends to all keys alike.

    Variables: banded_random/table [heads, query_position, distance]; entry w is the token itself.

    Args:
      max_length: N, the length of the table.
      width: w, the farthest distance.
      initial_scale: standard deviation of the initial table.
      beyond_max_length: treatment of longer batches; `Refuse` by default.
    """

    scope = "banded_random"

    def __init__(
        self,
        max_length: int = 512,
        width: int = 16,
        initial_scale: float = 1.0,
        beyond_max_length: LengthPolicy | None = None,
    ):
        self.max_length = check_at_least(1, "BandedRandom.max_length", max_length)
        self.width = check_at_least(1, "BandedRandom.width", width)
        self.initial_scale = initial_scale
        self.beyond_max_length = beyond_max_length or Refuse()

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        queries = mtf.Dimension("query_position", self.max_length)
        distance = mtf.Dimension("distance", 2 * self.width + 1)
        positions = view.positions_for(
            view.queries, self.max_length, self.beyond_max_length, type(self).__name__
        )
        with view.variable_scope(self.scope):
            table = mtf.get_variable(
                context.mesh,
                "table",
                mtf.Shape([*view.heads, queries, distance]),
                initializer=tf.random_normal_initializer(stddev=self.initial_scale),
                dtype=context.variable_dtype,
            )
            rows = positions.rows(table, queries)

        def entries() -> tuple[mtf.Tensor, mtf.Tensor]:
            ahead = view.distances()
            near = mtf.minimum(mtf.maximum(ahead, -self.width), self.width)
            return near + self.width, mtf.cast(mtf.equal(ahead, near), tf.float32)

        key = ("band", type(view), view.memory_length, distance)
        index, inside = cached(context, key, entries)
        logits = cast(view.in_order(take(rows, index, distance)), tf.float32)
        return view.plus(mtf.multiply(logits, inside, logits.shape), (1.0 - inside) * _OUTSIDE)

    def cost(self, sizes: Sizes) -> Cost:
        self.beyond_max_length.rows(sizes.keys, self.max_length)
        table = weights(sizes.heads, self.max_length, 2 * self.width + 1)
        return table + Cost(depends_on_example=sizes.packed)
