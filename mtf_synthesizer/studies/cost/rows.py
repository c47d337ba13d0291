"""The cost of configurations: each one is built as `train` builds it, and counted twice."""

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
    """What one configuration costs.

    Attributes:
      name: as the user would say it.
      batch: what FLOPs are counted for.
      parts: by formula; without any where a layer has no formula.
      counted: from the graph: component -> cost.
      why_no_formula: which layer has none, or nothing.
      freezes: whether training leaves some variables as they are.
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
        """Component -> cost, where it costs anything."""
        total: dict[str, Cost] = {}
        for part in self.parts:
            total[part.component] = total.get(part.component, Cost()) + part.cost
        return total

    def differing(self) -> list[str]:
        """Components for which formula and graph do not agree; none without a formula."""
        formula = self.by_formula()
        names = {*formula, *self.counted} if formula else set()
        return sorted(
            name
            for name in names
            if numbers(formula.get(name, Cost())) != numbers(self.counted.get(name, Cost()))
        )


def numbers(cost: Cost) -> dict[str, int]:
    """What is reported of a cost."""
    return {
        "parameters": cost.parameters,
        "trainable_parameters": cost.trainable_parameters,
        "forward_flops": cost.forward_flops,
        "training_flops": cost.training_flops,
    }


def measure(
    name: str, wanted: Configuration, batch_size: int, vocabulary_size: int, verbose: bool = False
) -> CostRow:
    """Builds the model of a configuration and counts.

    Args:
      name: what the row is called.
      wanted: the configuration.
      batch_size: rows of the batch that FLOPs are counted for.
      vocabulary_size: number of words; Mesh rounds it up to a multiple of 128.
      verbose: whether all logs are shown.
    """
    with built(wanted, batch_size, vocabulary_size, verbose) as (model, batch):
        counted = graph.of_model(model, batch)
        freezes = bool(upstream_graph.bound("run.variable_filter", None))
        try:
            parts, why = tuple(of_model(model, batch)), ""
        except NoFormula as error:
            parts, why = (), str(error)
        return CostRow(name, batch, parts, counted, why, freezes)


@contextlib.contextmanager
def built(
    wanted: Configuration, batch_size: int, vocabulary_size: int, verbose: bool = False
) -> Iterator[tuple[Model, Batch]]:
    """The model and the batch of a configuration, under that configuration.

    Raises:
      errors.UserError: a kind of model whose rows have no known length.
    """
    with session.configured(wanted, verbose):
        kind = upstream_graph.model_type()
        lengths = upstream_graph.LENGTHS[kind](upstream_graph.bound("run.sequence_length", {}))
        yield (
            upstream_graph.model(kind, vocabulary_size),
            Batch(batch_size, lengths, upstream_graph.is_packed()),
        )
