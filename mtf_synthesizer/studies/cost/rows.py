"""The cost of configurations: each is built as `train` builds it, and counted twice."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import mtf_synthesizer.runtime.compat

from mtf_synthesizer.attention.cost import Cost, NoFormula
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch, Model, Part, of_model
from mtf_synthesizer.upstream import graph as upstream_graph
from mtf_synthesizer.upstream import session


@dataclasses.dataclass(frozen=True)
class CostRow:
    """The cost of one configuration.

    Attributes:
      name: name of the row, in the user's words.
      batch: the batch that FLOPs are counted for.
      parts: parts by formula; empty if a layer has no formula.
      counted: component -> cost, counted from the graph.
      why_no_formula: the layer without a formula, or an empty text.
      freezes: whether training leaves some variables unchanged.
    """

    name: str
    batch: Batch
    parts: tuple[Part, ...]
    counted: dict[str, Cost]
    why_no_formula: str = ""
    freezes: bool = False

    @property
    def total(self) -> Cost:
        return sum(self.counted.values(), Cost())

    def by_formula(self) -> dict[str, Cost]:
        """Map components to costs, without components that cost nothing."""
        total: dict[str, Cost] = {}
        for part in self.parts:
            total[part.component] = total.get(part.component, Cost()) + part.cost
        return total

    def differing(self) -> list[str]:
        """Components whose formula and graph disagree; empty without a formula."""
        formula = self.by_formula()
        names = {*formula, *self.counted} if formula else set()
        return sorted(
            name
            for name in names
            if numbers(formula.get(name, Cost())) != numbers(self.counted.get(name, Cost()))
        )


def numbers(cost: Cost) -> dict[str, int]:
    """The reported numbers of a cost."""
    return {
        "parameters": cost.parameters,
        "trainable_parameters": cost.trainable_parameters,
        "forward_flops": cost.forward_flops,
        "training_flops": cost.training_flops,
    }


def measure(
    name: str,
    configuration: Configuration,
    batch_size: int,
    vocabulary_size: int,
    verbose: bool = False,
) -> CostRow:
    """Build the model of a configuration and count its parameters and FLOPs.

    Args:
      name: name of the row.
      configuration: the configuration.
      batch_size: rows of the batch that FLOPs are counted for.
      vocabulary_size: number of words; Mesh rounds it up to a multiple of 128.
      verbose: whether to show all logs.
    """
    with built(configuration, batch_size, vocabulary_size, verbose) as (model, batch):
        counted = graph.of_model(model, batch)
        freezes = bool(upstream_graph.bound("run.variable_filter", None))
        try:
            parts, why = tuple(of_model(model, batch)), ""
        except NoFormula as error:
            parts, why = (), str(error)
        return CostRow(name, batch, parts, counted, why, freezes)


@contextlib.contextmanager
def built(
    configuration: Configuration, batch_size: int, vocabulary_size: int, verbose: bool = False
) -> Iterator[tuple[Model, Batch]]:
    """Yield the model and the batch of a configuration; gin has the configuration meanwhile.

    Raises:
      errors.UserError: the rows of this kind of model have no known length.
    """
    with session.configured(configuration, verbose):
        kind = upstream_graph.model_type()
        lengths = upstream_graph.LENGTHS[kind](upstream_graph.bound("run.sequence_length", {}))
        yield (
            upstream_graph.build(kind, (vocabulary_size, vocabulary_size)),
            Batch(batch_size, lengths, upstream_graph.is_packed()),
        )
