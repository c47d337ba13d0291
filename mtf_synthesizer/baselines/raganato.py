"""Fixed patterns of Raganato et al. 2020 (https://arxiv.org/abs/2002.10260), for encoders."""

from __future__ import annotations

from typing import NamedTuple

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention import checks, masks
from mtf_synthesizer.attention.cost import Cost, Sizes, product, projection
from mtf_synthesizer.attention.interface import SynthesizingFunction, View
from mtf_synthesizer.attention.projections import Projections

_FAR = float("inf")
# Logits of keys outside a pattern. A pattern without any key leaves the position itself.
_ITSELF, _OTHERS = -1e6, -1e9


class Pattern(NamedTuple):
    """Keys of one head and their weights.

    Attributes:
      first: offset of the first key from the query.
      last: offset of the last key from the query.
      towards_end: whether weights grow as (j + 1)^3 towards the end of the sequence, else as
        (n - j)^3 towards its start, where j counts from 0 and n is the sequence's length.
    """

    first: float
    last: float
    towards_end: bool


# In the order of Raganato et al.
PATTERNS = {
    "the current token": Pattern(0, 0, True),
    "the previous token": Pattern(-1, -1, True),
    "the next token": Pattern(1, 1, True),
    "larger context to the left": Pattern(-_FAR, -2, True),
    "larger context to the right": Pattern(2, _FAR, False),
    "the end of the sentence": Pattern(-_FAR, _FAR, True),
    "the start of the sentence": Pattern(-_FAR, _FAR, False),
}


@gin.configurable(module="mtf_synthesizer")
class FixedPatterns(SynthesizingFunction):
    """Seven heads with constant weights, and a last head with a dot product.

    Each of the seven heads weights the keys j of its pattern in proportion to (j + 1)^3 or
    (n - j)^3, so that S[h, i, j] is the logarithm. Other keys have no weight. A query without any
    key, as the first token for "the previous token", attends to itself: a softmax can't be empty.
    Both j and n refer to the token's own sequence, so packed rows and padding change nothing.

    Give the layer no relative position bias, because the bias would be added to the fixed heads.

    Variables: fixed_patterns/q and fixed_patterns/k [d_model, d_kv], of the last head.
    """

    scope = "fixed_patterns"

    def logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        """Return logits [batch, heads, length, memory_length] in some order.

        Raises:
          ValueError: the stack is a decoder, or the number of heads is not 8.
        """
        checks.refuse_decoder("FixedPatterns", context, "its patterns look ahead")
        heads = _heads(view)
        learned = _constant(context, [False] * len(PATTERNS) + [True], heads)
        return mtf.where(learned, self._dot_product(context, x, view), _fixed(context, view, heads))

    def _dot_product(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        with view.variable_scope(self.scope):
            one_head = Projections.of_layer(context, [], view.kv)
            query, key = one_head.compute_q(x), one_head.compute_k(view.memory(x))
        return mtf.einsum(
            [mtf.cast(query, tf.float32), mtf.cast(key, tf.float32)], reduced_dims=[view.kv]
        )

    def cost(self, sizes: Sizes) -> Cost:
        """Return the cost of the last head."""
        own = projection(sizes.batch * sizes.length, sizes.d_model, sizes.d_kv)
        pairs = product(sizes.batch, sizes.length, sizes.length, sizes.d_kv)
        return own + own + pairs + Cost(depends_on_example=True)


def _heads(view: View) -> mtf.Dimension:
    required = len(PATTERNS) + 1
    if [dim.size for dim in view.heads] != [required]:
        raise ValueError(
            f"FixedPatterns needs {required} heads, the layer has {mtf.Shape(view.heads).size}. "
            f"Bind SyntheticAttention.num_heads = {required} and leave num_memory_heads unset"
        )
    return view.heads[0]


def _fixed(context: transformer.Context, view: View, heads: mtf.Dimension) -> mtf.Tensor:
    """Return logits of the fixed patterns, [(batch,) heads, length, memory_length]; last head 0."""
    unused = Pattern(-_FAR, _FAR, True)
    first, last, towards_end = zip(*PATTERNS.values(), unused, strict=True)
    query, key = _places(view)
    offset = key - query
    reached = mtf.logical_and(
        mtf.greater_equal(offset, _constant(context, first, heads)),
        mtf.less_equal(offset, _constant(context, last, heads)),
    )
    to_end = mtf.maximum(_lengths(context, view) - key, 1.0)
    weight = 3.0 * mtf.log(mtf.where(_constant(context, towards_end, heads), key + 1.0, to_end))
    itself = mtf.cast(mtf.equal(offset, 0.0), tf.float32)
    return mtf.where(reached, weight, itself * (_ITSELF - _OTHERS) + _OTHERS)


def _places(view: View) -> tuple[mtf.Tensor, mtf.Tensor]:
    """Return p_i [(batch,) length] and p_j [(batch,) memory_length] as float32."""
    places = mtf.Dimension("place", view.length.size)
    numbers = mtf.range(view.context.mesh, places, tf.float32)
    return view.queries.rows(numbers, places), view.keys.rows(numbers, places)


def _lengths(context: transformer.Context, view: View) -> mtf.Tensor:
    """Return the length of each key's sequence, float32: [batch, memory_length], [batch] or []."""
    same = masks.same_sequence(context, view.memory_length)
    if same is not None:
        return mtf.reduce_sum(mtf.cast(same, tf.float32), reduced_dim=view.length)
    present = masks.padding(context, view.memory_length)
    if present is not None:
        return mtf.reduce_sum(mtf.cast(present, tf.float32), reduced_dim=view.memory_length)
    return mtf.constant(context.mesh, view.length.size, dtype=tf.float32)


def _constant(
    context: transformer.Context, values: tuple[object, ...] | list[bool], dim: mtf.Dimension
) -> mtf.Tensor:
    array = np.array(values)
    kind = bool if array.dtype == bool else np.float32
    return mtf.import_tf_tensor(context.mesh, tf.constant(array.astype(kind)), mtf.Shape([dim]))
