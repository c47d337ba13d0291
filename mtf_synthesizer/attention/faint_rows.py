"""Exact results for rows whose real keys vanish beside padding: one softmax per example.

The global path divides each row of its table by the exponential of one maximum over all keys. If a
table prefers keys that are padding in an example, the exponentials of real keys come near 0, and
below 1e-38 they are 0. `where_faint` detects such rows by their sum and replaces their results. The
decision is made while the step runs, so that steps without such rows compute nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

# A sum of exponentials below this limit is faint. At the limit, terms that float32 has lost, and
# rounded products with small values, are still below 1e-18 of the sum.
FAINT = 1e-20


def where_faint(
    fast: mtf.Tensor,
    faint: mtf.Tensor,
    operands: Sequence[mtf.Tensor],
    exact: Callable[..., tf.Tensor],
) -> mtf.Tensor:
    """Return `fast`, or `exact(*operands)` on devices where any entry of `faint` is true.

    Args:
      fast: float tensor; its sum over devices may still be delayed.
      faint: bool tensor.
      operands: arguments of `exact`. No layout may split a dimension that `exact` sums over and
        that `fast` has already been summed over.
      exact: function from the operands' slices to `fast`, or to this device's share of it.

    Returns:
      A tensor like `fast`, without a gradient.
    """
    return _WhereFaint(fast, faint, operands, exact).outputs[0]


class _WhereFaint(mtf.Operation):
    def __init__(
        self,
        fast: mtf.Tensor,
        faint: mtf.Tensor,
        operands: Sequence[mtf.Tensor],
        exact: Callable[..., tf.Tensor],
    ):
        super().__init__([fast, faint, *operands], name="where_faint")
        self._exact = exact
        self._outputs = [mtf.Tensor(self, fast.shape, fast.dtype)]

    def lower(self, lowering: mtf.Lowering) -> None:
        fast, *others = (lowering.tensors[x] for x in self.inputs)
        mesh_impl = lowering.mesh_impl(self)
        late = isinstance(fast, mtf.ops.LazyAllreduceSum)

        def choose(fast: tf.Tensor, faint: tf.Tensor, *operands: tf.Tensor) -> tf.Tensor:
            def exact() -> tf.Tensor:
                return tf.cast(tf.reshape(self._exact(*operands), fast.shape), fast.dtype)

            return tf.cond(tf.reduce_any(faint), exact, lambda: tf.identity(fast))

        y = mesh_impl.slicewise(choose, fast.laid_out_input if late else fast, *others)
        if late:
            y = mtf.ops.LazyAllreduceSum(mesh_impl, y, fast.mesh_axes, fast.add_counter_fn)
        lowering.set_tensor_lowering(self.outputs[0], y)


# The three functions below take slices of
#   logits: float32 [heads..., length, memory_length],
#   values: [own heads..., memory_length, batch..., d_kv], own heads the first of heads,
#   present: float32 [batch..., memory_length], 0 or 1, and
#   grad: [heads..., length, batch..., d_kv].
# As TensorFlow functions they are traced once for all layers of one shape.


@tf.function(autograph=False)
def outputs(logits: tf.Tensor, values: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Return softmax(S) V over present keys, with the dimensions of grad."""
    rows = _Rows(logits, values, present)

    def of_example(example: tuple[tf.Tensor, ...]) -> tf.Tensor:
        kept, own = example
        return tf.einsum("gqim,gmk->gqik", rows.weights(own), kept)

    stacked = _of_each(of_example, rows.examples)
    return tf.transpose(stacked, [1, 2, 3, 0, 4])


@tf.function(autograph=False)
def to_values(
    logits: tf.Tensor, values: tf.Tensor, present: tf.Tensor, grad: tf.Tensor
) -> tf.Tensor:
    """Return the gradient of `outputs` to the values."""
    rows = _Rows(logits, values, present)

    def of_example(example: tuple[tf.Tensor, ...]) -> tf.Tensor:
        _, own, dy = example
        return tf.einsum("gqim,gqik->gmk", rows.weights(own), dy)

    examples = (*rows.examples, rows.of_outputs(grad))
    stacked = _of_each(of_example, examples)
    return tf.transpose(stacked, [1, 2, 0, 3])


@tf.function(autograph=False)
def to_logits(
    logits: tf.Tensor, values: tf.Tensor, present: tf.Tensor, grad: tf.Tensor
) -> tf.Tensor:
    """Return the gradient of `outputs` to the logits."""
    rows = _Rows(logits, values, present)

    def add_example(total: tf.Tensor, example: tuple[tf.Tensor, ...]) -> tf.Tensor:
        kept, own, dy = example
        weights = rows.weights(own)
        to_weights = weights * tf.einsum("gqik,gmk->gqim", dy, kept)
        return total + to_weights - weights * tf.reduce_sum(to_weights, -1, keepdims=True)

    examples = (*rows.examples, rows.of_outputs(grad))
    return tf.foldl(add_example, examples, tf.zeros_like(rows.logits), parallel_iterations=1)


def _of_each(
    of_example: Callable[[tuple[tf.Tensor, ...]], tf.Tensor], examples: tuple[tf.Tensor, ...]
) -> tf.Tensor:
    """Return float32 results of examples, computed one by one to hold one example's weights."""
    return tf.map_fn(of_example, examples, fn_output_signature=tf.float32, parallel_iterations=1)


class _Rows:
    """Logits [own heads, sharing heads, length, memory_length], and values and keys by example."""

    def __init__(self, logits: tf.Tensor, values: tf.Tensor, present: tf.Tensor):
        *heads, length, memory = logits.shape.as_list()
        self._own = values.shape[: values.shape.ndims - present.shape.ndims - 1].num_elements()
        self._width = values.shape.as_list()[-1]
        shared = mtf.Shape([mtf.Dimension(f"_{i}", n) for i, n in enumerate(heads)]).size
        self.logits = tf.reshape(logits, [self._own, shared // self._own, length, memory])
        values = tf.reshape(values, [self._own, memory, -1, self._width])
        kept = tf.cast(tf.transpose(values, [2, 0, 1, 3]), tf.float32)
        self.examples = (kept, tf.reshape(present, [-1, memory]))

    def of_outputs(self, grad: tf.Tensor) -> tf.Tensor:
        """Return the gradient to the outputs, [example, own heads, shared, length, d_kv]."""
        shape = [*self.logits.shape.as_list()[:3], -1, self._width]
        return tf.cast(tf.transpose(tf.reshape(grad, shape), [3, 0, 1, 2, 4]), tf.float32)

    def weights(self, present: tf.Tensor) -> tf.Tensor:
        """Return softmax(S) of an example over its present keys, 0 without any."""
        weights = tf.nn.softmax(tf.where_v2(present > 0, self.logits, self.logits.dtype.min))
        return weights * tf.reduce_max(present)
