"""Different synthesizing functions in different heads of one layer."""

from __future__ import annotations

from collections.abc import Sequence

import mtf_synthesizer.runtime.compat

import gin

from mtf_synthesizer.attention.checks import check_at_least
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.synthesizers import checked_functions


@gin.configurable(module="mtf_synthesizer")
class Heads:
    """Heads with functions of their own: S[h] = S_n[h] for the heads h of group n.

    Each group is a small attention layer with variables in a scope of its own, and the layer's
    output is the sum of theirs. A group whose logits do not depend on the example has no attention
    matrix per example, whatever the others have.

    Variables: heads_0/v, heads_0/o, heads_0/random/table and so on, the groups numbered from 0.

    Args:
      functions: the functions S_n, of any kind, mixtures included.
      sizes: number of heads of each function; None for equal parts of the layer's heads.

    Raises:
      ValueError: functions and sizes do not belong together.
    """

    def __init__(
        self, functions: Sequence[SynthesizingFunction], sizes: Sequence[int] | None = None
    ):
        self.functions = checked_functions("Heads.functions", functions)
        self._sizes = None if sizes is None else tuple(sizes)
        if self._sizes is not None and len(self._sizes) != len(self.functions):
            raise ValueError(
                f"Heads.sizes is {list(self._sizes)}, but Heads.functions has "
                f"{len(self.functions)} functions; give a number of heads for each"
            )
        for size in self._sizes or ():
            check_at_least(1, "Heads.sizes", size)

    def sizes(self, num_heads: int) -> tuple[int, ...]:
        """The number of a layer's heads that each function has.

        Raises:
          ValueError: the layer has another number of heads.
        """
        count = len(self.functions)
        sizes = self._sizes or (num_heads // count,) * count
        if sum(sizes) != num_heads:
            raise ValueError(
                f"Heads.sizes gives {count} functions {list(sizes)} heads, but "
                f"SyntheticAttention.num_heads is {num_heads}; bind Heads.sizes to numbers that "
                "add up to it"
            )
        return sizes
