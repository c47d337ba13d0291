"""What a part of a model costs, and the sizes that it depends on; needs no TensorFlow.

A product of matrices counts 2 FLOPs for each combination of its distinct dimensions, a
multiplication and an addition; in training once more for each operand that has a gradient.
Element-wise work and look-ups in tables are not counted.
"""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a self-attention layer and of its batch.

    Attributes:
      batch: rows of the batch.
      length: tokens of a row.
      d_model: width of the model.
      d_kv: width of a head.
      heads: heads of the queries.
      memory_heads: heads of keys and values.
      packed: whether rows may hold several sequences, so that tables are looked up for each row.
    """

    batch: int
    length: int
    d_model: int
    d_kv: int
    heads: int
    memory_heads: int
    packed: bool = False


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters and FLOPs; costs can be added.

    Attributes:
      parameters: stored numbers, trained or not.
      trainable_parameters: those that an optimizer may change.
      forward_flops: of one batch.
      training_flops: of one batch forward and backward, without the optimizer.
      dot_products: how often the layer's queries and keys are multiplied.
      takes_query: whether the layer's queries are used for something else.
      depends_on_example: whether the result differs between the rows of a batch.
    """

    parameters: int = 0
    trainable_parameters: int = 0
    forward_flops: int = 0
    training_flops: int = 0
    dot_products: int = 0
    takes_query: bool = False
    depends_on_example: bool = False

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parameters + other.parameters,
            self.trainable_parameters + other.trainable_parameters,
            self.forward_flops + other.forward_flops,
            self.training_flops + other.training_flops,
            self.dot_products + other.dot_products,
            self.takes_query or other.takes_query,
            self.depends_on_example or other.depends_on_example,
        )

    @property
    def is_trained(self) -> bool:
        """Whether a gradient reaches anything of it."""
        return bool(self.trainable_parameters or self.dot_products or self.takes_query)


class NoFormula(Exception):
    """A layer or function says nothing of its cost; it can be counted from the graph."""

    def __init__(self, part: object):
        named = part if isinstance(part, type) else type(part)
        super().__init__(f"{named.__name__} has no formula")


def weights(*sizes: int, trainable: bool = True) -> Cost:
    """The cost of a variable of these dimensions."""
    count = math.prod(sizes)
    return Cost(parameters=count, trainable_parameters=count if trainable else 0)


def product(*sizes: int, gradients: int = 2) -> Cost:
    """The cost of a product of matrices with these distinct dimensions.

    Args:
      *sizes: sizes of the dimensions.
      gradients: how many of its operands have a gradient.
    """
    flops = 2 * math.prod(sizes)
    return Cost(forward_flops=flops, training_flops=flops * (1 + gradients))


def projection(rows: int, width: int, *others: int) -> Cost:
    """The cost of a matrix [width, *others] and of its product with `rows` vectors."""
    return weights(width, *others) + product(rows, width, *others)


def queries_and_keys(function: Cost, sizes: Sizes, shared_kv: bool = False) -> Cost:
    """The projections q and k that a synthesizing function of this cost makes the layer have.

    Each further dot product has projections of its own. A shared k and v is paid with the values.
    """
    rows = sizes.batch * sizes.length
    total = Cost()
    for _ in range(max(function.dot_products, int(function.takes_query))):
        total += projection(rows, sizes.d_model, sizes.heads * sizes.d_kv)
    for _ in range(0 if shared_kv else function.dot_products):
        total += projection(rows, sizes.d_model, sizes.memory_heads * sizes.d_kv)
    return total
