"""Functions beyond the paper that depend on positions alone: controls for the table R."""

from __future__ import annotations

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention.checks import check_at_least
from mtf_synthesizer.attention.cost import Cost, Sizes, weights
from mtf_synthesizer.attention.interface import SynthesizingFunction, View, cached
from mtf_synthesizer.mesh.lookup import take


@gin.configurable(module="mtf_synthesizer")
class Toeplitz(SynthesizingFunction):
    """S[h, i, j] = t[h, p_i - p_j]: a trainable weight for each distance, 2N - 1 for each head.

    Distances of N and more share the weight of N - 1 on their side, as T5's last buckets are
    shared. Rows may therefore have any length, and a T5 relative position bias is one of these
    tables, exactly, if N is at least the distance at which its last bucket begins.

    Variables: toeplitz/table [heads, distance]; entry N - 1 is the weight of the token itself.

    Args:
      max_length: N.
      initial_scale: standard deviation of the table at the start.
    """

    scope = "toeplitz"

    def __init__(self, max_length: int = 512, initial_scale: float = 1.0):
        self.max_length = check_at_least(1, "Toeplitz.max_length", max_length)
        self.initial_scale = initial_scale

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        farthest = self.max_length - 1
        distance = mtf.Dimension("distance", 2 * farthest + 1)
        with view.variable_scope(self.scope):
            table = mtf.get_variable(
                context.mesh,
                "table",
                mtf.Shape([*view.heads, distance]),
                initializer=tf.random_normal_initializer(stddev=self.initial_scale),
                dtype=context.variable_dtype,
            )

        def entries() -> mtf.Tensor:
            behind = mtf.minimum(mtf.maximum(-view.distances(), -farthest), farthest)
            return behind + farthest

        key = ("distances", type(view), view.memory_length, distance)
        return view.in_order(take(table, cached(context, key, entries), distance))

    def cost(self, sizes: Sizes) -> Cost:
        return weights(sizes.heads, 2 * self.max_length - 1)


@gin.configurable(module="mtf_synthesizer")
class Uniform(SynthesizingFunction):
    """S = 0: the mean of all visible values; with a relative position bias, the bias alone.

    It has no variables.
    """

    scope = "uniform"

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        shape = [d for d in view.shape.dims if d not in context.batch_dims]
        return mtf.zeros(context.mesh, mtf.Shape(shape), tf.float32)

    def cost(self, sizes: Sizes) -> Cost:
        return Cost()
