"""The paper's synthesizing functions, in the order of its Table 1.

Every function returns logits S[batch, heads, length, memory_length], without the dimensions that
the function does not depend on. In the formulas h is a head, i a query, j a key, p their positions
within their sequences, x the layer's input, and N = max_length.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Protocol

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention.cost import Cost, NoFormula, Sizes, product, projection, weights
from mtf_synthesizer.attention.interface import SynthesizingFunction, View
from mtf_synthesizer.attention.positions import LengthPolicy, Positions, Range, Refuse
from mtf_synthesizer.mesh.late_sums import cast, times


@gin.configurable(module="mtf_synthesizer")
class DotProduct(SynthesizingFunction):
    """V: S[h, i, j] = q_i . k_j with q = W_Q x and k = W_K x, the standard attention.

    As in T5, the initializer of W_Q contains the division by sqrt(d_kv).

    Variables: q [d_model, heads * d_kv] and k, under the layer's own scope as in T5.
    """

    scope = "dot_product"

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        query, key = view.query_and_key()
        return view.product(mtf.cast(query, tf.float32), mtf.cast(key, tf.float32))

    def cost(self, sizes: Sizes) -> Cost:
        pairs = product(sizes.batch, sizes.heads, sizes.length, sizes.keys, sizes.d_kv)
        return pairs + Cost(dot_products=1, depends_on_example=True)


@gin.configurable(module="mtf_synthesizer")
class Random(SynthesizingFunction):
    """R: S[h, i, j] = R[h, p_i, p_j], a trainable table (Equation 4).

    Variables: random/table [heads, query_position, key_position], N x N for each head.

    Args:
      max_length: N, the length of the table.
      initial_scale: standard deviation of the initial table.
      beyond_max_length: treatment of longer batches; `Refuse` by default.
    """

    scope = "random"

    def __init__(
        self,
        max_length: int = 512,
        initial_scale: float = 1.0,
        beyond_max_length: LengthPolicy | None = None,
    ):
        self.max_length = _positive("Random.max_length", max_length)
        self.initial_scale = initial_scale
        self.beyond_max_length = beyond_max_length or Refuse()

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        with view.variable_scope(self.scope):
            table = _square_table(view, self.max_length, self.initial_scale, trainable=True)
            return _pairs(table, view, self)

    def cost(self, sizes: Sizes) -> Cost:
        table = weights(sizes.heads, self.max_length, self.max_length)
        _check_formula(self, sizes)
        return table + Cost(depends_on_example=sizes.packed)


@gin.configurable(module="mtf_synthesizer")
class FixedRandom(SynthesizingFunction):
    """Fix: Random with a table that keeps its initial values: saved, but not trained.

    Variables: fixed_random/table [heads, query_position, key_position], not trainable.

    Args:
      max_length: N, the length of the table.
      initial_scale: standard deviation of the table.
      beyond_max_length: treatment of longer batches; `Refuse` by default.
    """

    scope = "fixed_random"

    def __init__(
        self,
        max_length: int = 512,
        initial_scale: float = 1.0,
        beyond_max_length: LengthPolicy | None = None,
    ):
        self.max_length = _positive("FixedRandom.max_length", max_length)
        self.initial_scale = initial_scale
        self.beyond_max_length = beyond_max_length or Refuse()

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        with view.variable_scope(self.scope):
            table = _square_table(view, self.max_length, self.initial_scale, trainable=False)
            return _pairs(table, view, self)

    def cost(self, sizes: Sizes) -> Cost:
        table = weights(sizes.heads, self.max_length, self.max_length, trainable=False)
        _check_formula(self, sizes)
        return table + Cost(depends_on_example=sizes.packed)


@gin.configurable(module="mtf_synthesizer")
class FactorizedRandom(SynthesizingFunction):
    """FR: S[h, i, j] = sum_k R1[h, p_i, k] R2[h, p_j, k], of rank k (Equation 7).

    Variables: factorized_random/r1 [heads, query_position, rank] and
    factorized_random/r2 [heads, key_position, rank].

    Args:
      max_length: N, the length of the factors.
      rank: k; 8 in the paper, 32 in its comparison with Linformer.
      initial_scale: standard deviation of the initial product R1 R2^T.
      beyond_max_length: treatment of longer batches; `Refuse` by default.
    """

    scope = "factorized_random"

    def __init__(
        self,
        max_length: int = 512,
        rank: int = 8,
        initial_scale: float = 1.0,
        beyond_max_length: LengthPolicy | None = None,
    ):
        self.max_length = _positive("FactorizedRandom.max_length", max_length)
        self.rank = _positive("FactorizedRandom.rank", rank)
        self.initial_scale = initial_scale
        self.beyond_max_length = beyond_max_length or Refuse()

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        rank = mtf.Dimension("rank", self.rank)
        # A product of k terms with factors of this scale has variance initial_scale^2.
        stddev = math.sqrt(self.initial_scale / math.sqrt(self.rank))
        with view.variable_scope(self.scope):
            queries, keys = _table_dims(self.max_length)
            r1 = _weight(view, "r1", [*view.heads, queries, rank], stddev)
            r2 = _weight(view, "r2", [*view.heads, keys, rank], stddev)
            r1 = _positions(view, view.queries, self).rows(r1, queries)
            r2 = _positions(view, view.keys, self).rows(r2, keys)
            return view.product(r1, r2)

    def cost(self, sizes: Sizes) -> Cost:
        factors = weights(2, sizes.heads, self.max_length, self.rank)
        _check_formula(self, sizes)
        tables = sizes.batch if sizes.packed else 1
        pairs = product(tables, sizes.heads, sizes.length, sizes.keys, self.rank)
        return factors + pairs + Cost(depends_on_example=sizes.packed)


class HiddenProjection(abc.ABC):
    """First projection of a dense function, W1."""

    @abc.abstractmethod
    def project(self, x: mtf.Tensor, view: View) -> mtf.Tensor:
        """Return W1 x, [batch, heads, length, d_kv] in some order."""

    def cost(self, sizes: Sizes) -> Cost:
        """Return parameters and FLOPs; raise NoFormula if the class has no formula."""
        raise NoFormula(self)


@gin.configurable(module="mtf_synthesizer")
class OwnProjection(HiddenProjection):
    """A W1 for this function alone.

    Variables: w1 [d_model, heads, d_kv].
    """

    def project(self, x: mtf.Tensor, view: View) -> mtf.Tensor:
        width = view.context.model.model_dim
        w1 = _weight(view, "w1", [width, *view.heads, view.kv], width.size**-0.5)
        return mtf.einsum([x, w1], reduced_dims=[width])

    def cost(self, sizes: Sizes) -> Cost:
        return projection(sizes.batch * sizes.length, sizes.d_model, sizes.heads, sizes.d_kv)


@gin.configurable(module="mtf_synthesizer")
class QueryProjection(HiddenProjection):
    """W_Q of the dot product as a shared W1: the D+V of the paper's Table 4."""

    def project(self, x: mtf.Tensor, view: View) -> mtf.Tensor:
        return view.query()

    def cost(self, sizes: Sizes) -> Cost:
        return Cost(takes_query=True)


@gin.configurable(module="mtf_synthesizer")
class Dense(SynthesizingFunction):
    """D: S[h, i, j] = (W2_h relu(W1_h x_i))[p_j] (Equation 2).

    Variables: dense/w1 [d_model, heads, d_kv] unless `hidden` shares another W1, and
    dense/w2 [heads, d_kv, key_position], or [d_kv, key_position] with `shared_heads`.

    Args:
      max_length: N, the length of W2.
      hidden: source of W1 x: `OwnProjection` (default) or `QueryProjection`.
      shared_heads: whether all heads share one W2, as in the paper's Table 4.
      beyond_max_length: treatment of longer batches; `Refuse` by default.
    """

    scope = "dense"

    def __init__(
        self,
        max_length: int = 512,
        hidden: HiddenProjection | None = None,
        shared_heads: bool = False,
        beyond_max_length: LengthPolicy | None = None,
    ):
        self.max_length = _positive("Dense.max_length", max_length)
        self.hidden = hidden or OwnProjection()
        self.shared_heads = shared_heads
        self.beyond_max_length = beyond_max_length or Refuse()

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        with view.variable_scope(self.scope):
            _, keys = _table_dims(self.max_length)
            heads = [] if self.shared_heads else view.heads
            w2 = _weight(view, "w2", [*heads, view.kv, keys], view.kv.size**-0.5)
            hidden = mtf.relu(self.hidden.project(x, view))
            # Looking up W2 is cheaper than looking up its product, as large as the logits.
            return view.product(hidden, _positions(view, view.keys, self).rows(w2, keys))

    def cost(self, sizes: Sizes) -> Cost:
        w2 = weights(1 if self.shared_heads else sizes.heads, sizes.d_kv, self.max_length)
        _check_formula(self, sizes)
        rows = product(sizes.batch, sizes.length, sizes.heads, sizes.d_kv, sizes.keys)
        return self.hidden.cost(sizes) + w2 + rows + Cost(depends_on_example=True)


@gin.configurable(module="mtf_synthesizer")
class FactorizedDense(SynthesizingFunction):
    """FD: S[h, i, j] = A_i[p_j mod a] B_i[p_j div a], a b = N (Equations 5 and 6).

    A and B are two linear maps of one hidden relu(W1_h x_i). A is tiled and B repeated, so that a
    row has N distinct values.

    Variables: factorized_dense/w1 [d_model, heads, d_kv], factorized_dense/wa [heads, d_kv, a],
    factorized_dense/wb [heads, d_kv, b].

    Args:
      max_length: N, the length of the maps.
      a: size of A, a divisor of N; by default the largest divisor not above sqrt(N).
      hidden: source of W1 x: `OwnProjection` (default) or `QueryProjection`.
      beyond_max_length: treatment of longer batches; `Refuse` by default.

    Raises:
      ValueError: a parameter is not positive, or `a` does not divide max_length.
    """

    scope = "factorized_dense"

    def __init__(
        self,
        max_length: int = 512,
        a: int | None = None,
        hidden: HiddenProjection | None = None,
        beyond_max_length: LengthPolicy | None = None,
    ):
        self.max_length = _positive("FactorizedDense.max_length", max_length)
        self.a = largest_divisor(max_length) if a is None else _positive("FactorizedDense.a", a)
        if max_length % self.a:
            raise ValueError(
                f"FactorizedDense.a is {self.a}, which does not divide "
                f"FactorizedDense.max_length = {max_length}. Choose a divisor or leave it unset"
            )
        self.hidden = hidden or OwnProjection()
        self.beyond_max_length = beyond_max_length or Refuse()

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        tiled = mtf.Dimension("a", self.a)
        repeated = mtf.Dimension("b", self.max_length // self.a)
        positions = _positions(view, view.keys, self)
        with view.variable_scope(self.scope):
            scope = tf.get_variable_scope()
            stddev = view.kv.size**-0.5
            wa = _weight(view, "wa", [*view.heads, view.kv, tiled], stddev)
            wb = _weight(view, "wb", [*view.heads, view.kv, repeated], stddev)
            hidden = mtf.relu(self.hidden.project(x, view))
        needed = mtf.Dimension("b", -(-positions.limit // self.a))
        if needed != repeated:
            wb = mtf.slice(wb, 0, needed.size, "b")
        rows = [d for d in view.shape.dims if d != view.memory_length]
        factor_a = mtf.einsum([hidden, wa], mtf.Shape([*rows, tiled]))
        factor_b = mtf.einsum([hidden, wb], mtf.Shape([*rows, needed]))
        outer = mtf.multiply(factor_b, factor_a, output_shape=factor_b.shape + tiled)
        keys = mtf.Dimension("key_position", needed.size * self.a)
        outer = mtf.replace_dimensions(outer, [needed, tiled], keys)
        with tf.variable_scope(scope):
            return positions.rows(outer, keys)

    def cost(self, sizes: Sizes) -> Cost:
        repeated = self.max_length // self.a
        factors = weights(sizes.heads, sizes.d_kv, self.a + repeated)
        needed = -(-self.beyond_max_length.rows(sizes.keys, self.max_length) // self.a)
        rows = product(sizes.batch, sizes.length, sizes.heads, sizes.d_kv, self.a + needed)
        return self.hidden.cost(sizes) + factors + rows + Cost(depends_on_example=True)


def largest_divisor(number: int) -> int:
    """Return the largest divisor not above the square root: 16 for 512."""
    return max(d for d in range(1, math.isqrt(number) + 1) if number % d == 0)


def _positive(binding: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{binding} is {value!r}; it must be a whole number of at least 1")
    return value


def _table_dims(max_length: int) -> tuple[mtf.Dimension, mtf.Dimension]:
    # Not named length, because a layout that splits length must not split tables.
    return mtf.Dimension("query_position", max_length), mtf.Dimension("key_position", max_length)


def _weight(
    view: View, name: str, dims: list[mtf.Dimension], stddev: float, trainable: bool = True
) -> mtf.Tensor:
    return mtf.get_variable(
        view.context.mesh,
        name,
        mtf.Shape(dims),
        initializer=tf.random_normal_initializer(stddev=stddev),
        dtype=view.context.variable_dtype,
        trainable=trainable,
    )


def _square_table(view: View, max_length: int, stddev: float, trainable: bool) -> mtf.Tensor:
    return _weight(view, "table", [*view.heads, *_table_dims(max_length)], stddev, trainable)


class _Tabular(Protocol):
    """A function with a table over positions."""

    max_length: int
    beyond_max_length: LengthPolicy


def _positions(view: View, positions: Positions, function: _Tabular) -> Positions:
    return view.positions_for(
        positions, function.max_length, function.beyond_max_length, type(function).__name__
    )


def _check_formula(function: _Tabular, sizes: Sizes) -> None:
    """Raise NoFormula if reading the function's table has a cost of its own."""
    function.beyond_max_length.rows(sizes.keys, function.max_length)


def _pairs(table: mtf.Tensor, view: View, function: _Tabular) -> mtf.Tensor:
    """Return table[h, p_i, p_j]."""
    queries, keys = _table_dims(function.max_length)
    if view.sequences is None:
        rows = _positions(view, view.queries, function).rows(table, queries)
        return _positions(view, view.keys, function).rows(rows, keys)
    # First fit the table to the rows' length, so that no two tokens share an entry.
    for dim, length in ((queries, view.length), (keys, view.memory_length)):
        all_positions = Range(mtf.Dimension(dim.name, length.size))
        table = _positions(view, all_positions, function).rows(table, dim)
    return view.of_packed_rows(table)


@gin.configurable(module="mtf_synthesizer")
class Mixture(SynthesizingFunction):
    """S = sum_n alpha[h, n] S_n, alpha = softmax over n of a learned a[h, n] (paper, "Mixture").

    Each head and layer has its own weights, which start uniform.

    Variables: mixture/alpha [heads, terms], the a of the formula, initially 1.

    Args:
      functions: the functions S_n, of any number and kind, mixtures included.

    Raises:
      ValueError: `functions` is empty or holds anything but synthesizing functions.
    """

    scope = "mixture"

    def __init__(self, functions: Sequence[SynthesizingFunction]):
        self.functions = checked_functions("Mixture.functions", functions)

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        terms = mtf.Dimension("terms", len(self.functions))
        with view.variable_scope(self.scope):
            # Adafactor's steps are proportional to a variable's size, so zeros would not move.
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


@gin.configurable(module="mtf_synthesizer")
class Sum(SynthesizingFunction):
    """S = sum_n S_n, without weights: R+V and D+V of the paper's Table 4.

    Args:
      functions: the functions S_n, of any number and kind.

    Raises:
      ValueError: `functions` is empty or holds anything but synthesizing functions.
    """

    scope = "sum"

    def __init__(self, functions: Sequence[SynthesizingFunction]):
        self.functions = checked_functions("Sum.functions", functions)

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        return _added([cast(f.logits(context, x, view), tf.float32) for f in self.functions])

    def cost(self, sizes: Sizes) -> Cost:
        return _costs_of(self.functions, sizes)


def checked_functions(
    binding: str, functions: Sequence[SynthesizingFunction]
) -> tuple[SynthesizingFunction, ...]:
    """The functions that a binding lists.

    Raises:
      ValueError: it is not a list of synthesizing functions.
    """
    if not isinstance(functions, (list, tuple)) or not functions:
        raise ValueError(
            f"{binding} is {functions!r}. It must be a list of at least one synthesizing "
            "function, for example [@Random(), @DotProduct()]"
        )
    for function in functions:
        if not isinstance(function, SynthesizingFunction):
            raise ValueError(
                f"{binding} holds {function!r}, which is not a synthesizing function. In gin write "
                "@Random() with parentheses to make an instance"
            )
    return tuple(functions)


def _added(terms: Sequence[mtf.Tensor]) -> mtf.Tensor:
    # Terms without batch dimension are added first, while the sum is small.

    terms = sorted(terms, key=lambda term: term.shape.size)
    total = terms[0]
    for term in terms[1:]:
        total += term
    return total


def _costs_of(functions: Sequence[SynthesizingFunction], sizes: Sizes) -> Cost:
    return sum((function.cost(sizes) for function in functions), Cost())
