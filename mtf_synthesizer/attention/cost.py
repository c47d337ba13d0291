"""Cost of a model part and the sizes it depends on; no TensorFlow needed.

A product of matrices counts 2 FLOPs, a multiplication and an addition, for each combination of its
distinct dimensions. Training adds the same count for each operand with a gradient. Element-wise
work and table look-ups are not counted.
"""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a self-attention layer and of its batch.

    Attributes:
      batch: rows per batch.
      length: tokens per row.
      d_model: width of the model.
      d_kv: width of a head.
      heads: number of query heads.
      memory_heads: number of key and value heads.
      packed: whether rows may hold several sequences, so that each row looks tables up.
      memory_length: keys per row, if these are the tokens of another stack; None for length.
    """

    batch: int
    length: int
    d_model: int
    d_kv: int
    heads: int
    memory_heads: int
    packed: bool = False
    memory_length: int | None = None

    @property
    def keys(self) -> int:
        """Keys per row."""
        return self.length if self.memory_length is None else self.memory_length


@dataclasses.dataclass(frozen=True)
class Cost:
    """Parameters and FLOPs; costs can be added.

    Attributes:
      parameters: number of stored values, trained or not.
      trainable_parameters: number of values that an optimizer may change.
      forward_flops: FLOPs of one batch.
      training_flops: FLOPs of one batch forward and backward, without the optimizer.
      dot_products: number of products of queries and keys.
      takes_query: whether the function uses the layer's queries for another purpose.
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
        """True if a gradient reaches any of the part."""
        return bool(self.trainable_parameters or self.dot_products or self.takes_query)


class NoFormula(Exception):
    """A layer or function without a cost formula; its cost can be counted from the graph."""

    def __init__(self, part: object):
        named = part if isinstance(part, type) else type(part)
        super().__init__(f"{named.__name__} has no formula")


def weights(*sizes: int, trainable: bool = True) -> Cost:
    """Return the cost of a variable with these dimensions."""
    count = math.prod(sizes)
    return Cost(parameters=count, trainable_parameters=count if trainable else 0)


def product(*sizes: int, gradients: int = 2) -> Cost:
    """Return the cost of a product of matrices with these distinct dimensions.

    Args:
      sizes: sizes of the dimensions.
      gradients: number of operands with a gradient.
    """
    flops = 2 * math.prod(sizes)
    return Cost(forward_flops=flops, training_flops=flops * (1 + gradients))


def projection(rows: int, width: int, *others: int) -> Cost:
    """Return the cost of a matrix `[width, *others]` and of its product with `rows` vectors."""
    return weights(width, *others) + product(rows, width, *others)


def queries_and_keys(function: Cost, sizes: Sizes, shared_kv: bool = False) -> Cost:
    """Return the cost of the projections q and k that a function of this cost needs.

    Each dot product after the first has its own projections. The values pay for a shared k and v.
    """
    rows, keys = sizes.batch * sizes.length, sizes.batch * sizes.keys
    total = Cost()
    for _ in range(max(function.dot_products, int(function.takes_query))):
        total += projection(rows, sizes.d_model, sizes.heads * sizes.d_kv)
    for _ in range(0 if shared_kv else function.dot_products):
        total += projection(keys, sizes.d_model, sizes.memory_heads * sizes.d_kv)
    return total
