"""Synthesizing functions made of others."""

from __future__ import annotations

from collections.abc import Sequence

import mtf_synthesizer.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.cost import Cost, Sizes, weights
from mtf_synthesizer.interface import SynthesizingFunction, View
from mtf_synthesizer.late_sums import cast, times


@gin.configurable
class Mixture(SynthesizingFunction):
    """S = sum_n alpha[h, n] S_n, alpha = softmax over n of a learned a[h, n] (paper, "Mixture").

    One set of weights for each head and layer, uniform at the start.

    Variables: mixture/alpha [heads, terms], the a of the formula, 1 at the start.

    Args:
      functions: the functions S_n, of any number and kind, mixtures included.
    """

    scope = "mixture"

    def __init__(self, functions: Sequence[SynthesizingFunction]):
        self.functions = _checked("Mixture.functions", functions)

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        terms = mtf.Dimension("terms", len(self.functions))
        with view.variable_scope(self.scope):
            # Not zeros: Adafactor's steps are proportional to the size of a variable.
            alpha = mtf.get_variable(
                context.mesh,
                "alpha",
                mtf.Shape([*view.heads, terms]),
                initializer=tf.ones_initializer(),
                dtype=context.variable_dtype,
            )
        alphas = mtf.unstack(mtf.softmax(mtf.cast(alpha, tf.float32), terms), terms)
        return _added(
            [
                times(cast(function.logits(context, x, view), tf.float32), alpha_n)
                for function, alpha_n in zip(self.functions, alphas, strict=True)
            ]
        )

    def cost(self, sizes: Sizes) -> Cost:
        return _costs_of(self.functions, sizes) + weights(sizes.heads, len(self.functions))


@gin.configurable
class Sum(SynthesizingFunction):
    """S = sum_n S_n, without weights: R+V and D+V of the paper's Table 4.

    Args:
      functions: the functions S_n, of any number and kind.
    """

    scope = "sum"

    def __init__(self, functions: Sequence[SynthesizingFunction]):
        self.functions = _checked("Sum.functions", functions)

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        return _added([cast(f.logits(context, x, view), tf.float32) for f in self.functions])

    def cost(self, sizes: Sizes) -> Cost:
        return _costs_of(self.functions, sizes)


def _checked(
    binding: str, functions: Sequence[SynthesizingFunction]
) -> tuple[SynthesizingFunction, ...]:
    if not isinstance(functions, (list, tuple)) or not functions:
        raise ValueError(
            f"{binding} is {functions!r}; it must be a list of at least one synthesizing "
            "function, for example [@Random(), @DotProduct()]"
        )
    for function in functions:
        if not isinstance(function, SynthesizingFunction):
            raise ValueError(
                f"{binding} holds {function!r}, which is no synthesizing function; in gin write "
                "@Random() with parentheses, so that an instance is made"
            )
    return tuple(functions)


def _added(terms: Sequence[mtf.Tensor]) -> mtf.Tensor:
    # Terms that do not depend on the batch are added first, while they are small.
    terms = sorted(terms, key=lambda term: term.shape.size)
    total = terms[0]
    for term in terms[1:]:
        total += term
    return total


def _costs_of(functions: Sequence[SynthesizingFunction], sizes: Sizes) -> Cost:
    return sum((function.cost(sizes) for function in functions), Cost())
