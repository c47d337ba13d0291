"""The cost of configurations: each one is built as `train` builds it, and counted twice."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import mtf_synthesizer.compat

import gin
import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import names, stock
from mtf_synthesizer.configuration import Configuration
from mtf_synthesizer.cost import Cost, NoFormula
from mtf_synthesizer.costs import graph_cost, model_cost
from mtf_synthesizer.costs.model_cost import Batch, Model, Part


@dataclasses.dataclass(frozen=True)
class Row:
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
) -> Row:
    """Builds the model of a configuration and counts.

    Args:
      name: what the row is called.
      wanted: the configuration.
      batch_size: rows of the batch that FLOPs are counted for.
      vocabulary_size: number of words; Mesh rounds it up to a multiple of 128.
      verbose: whether all logs are shown.
    """
    with built(wanted, batch_size, vocabulary_size, verbose) as (model, batch):
        counted = graph_cost.of_model(model, batch)
        freezes = bool(bound("run.variable_filter", None))
        try:
            parts, why = tuple(model_cost.of_model(model, batch)), ""
        except NoFormula as error:
            parts, why = (), str(error)
        return Row(name, batch, parts, counted, why, freezes)


@contextlib.contextmanager
def built(
    wanted: Configuration, batch_size: int, vocabulary_size: int, verbose: bool = False
) -> Iterator[tuple[Model, Batch]]:
    """The model and the batch of a configuration, under that configuration.

    Raises:
      names.UserError: a kind of model whose rows have no known length.
    """
    with stock.configured(wanted, verbose):
        kind = model_type()
        lengths = _LENGTHS[kind](bound("run.sequence_length", {}))
        yield model(kind, vocabulary_size), Batch(batch_size, lengths, is_packed())


def model_type() -> str:
    """The configured type of model, as Mesh calls it.

    Raises:
      names.UserError: a kind of model whose rows have no known length.
    """
    kind: str = bound("run.model_type", "bitransformer")
    names.check("model type", kind, _LENGTHS)
    return kind


def model(
    kind: str,
    vocabulary_size: int,
    layout_rules: mtf.LayoutRules | str = "",
    mesh_shape: mtf.Shape | str = "",
) -> Model:
    """The configured model; some layers ask it for layout and mesh."""
    return utils.build_model(
        model_type=kind,
        input_vocab_size=vocabulary_size,
        output_vocab_size=vocabulary_size,
        layout_rules=layout_rules,
        mesh_shape=mesh_shape,
    )


def is_packed() -> bool:
    """Whether rows are configured to hold several sequences."""
    return bool(bound("mesh_train_dataset_fn.pack", True))


# Model type -> the length of a row in each stack.
_LENGTHS: dict[str, Callable[[dict[str, int]], tuple[int, ...]]] = {
    "bitransformer": lambda lengths: (lengths["inputs"], lengths["targets"]),
    "lm": lambda lengths: (lengths["targets"],),
    "delimited_lm": lambda lengths: (lengths["inputs"] + lengths["targets"],),
    "aligned": lambda lengths: (lengths["inputs"],),
}


def bound(parameter: str, default: Any) -> Any:
    """The value of a binding, its macros resolved."""
    try:
        return copy.deepcopy(gin.query_parameter(parameter))  # gin resolves what is copied
    except ValueError:
        return default
