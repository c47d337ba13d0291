"""Norm of the whole gradient as a summary, and an optional limit on it."""

from collections.abc import Callable, Sequence

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


@gin.configurable(module="mtf_synthesizer")
class ClippedOptimizer(mtf.optimize.Optimizer):
    """An inner optimizer that gets the gradients `g · min(1, max_norm / |g|)` instead of g.

    `|g|` is the norm over all variables together. Adafactor's own limit acts on the scaled update
    of one variable. It does not notice an outlier of the whole gradient.

    The norm before clipping goes to `mtf.scalar_summary` as `gradient_norm`. Without max_norm and
    summaries the norm is never computed.
    """

    def __init__(
        self,
        learning_rate: float | tf.Tensor | None = None,
        optimizer: Callable[..., mtf.optimize.Optimizer] = mtf.optimize.AdafactorOptimizer,
        max_norm: float | None = None,
    ):
        """Build the inner optimizer.

        Args:
          learning_rate: learning rate of the inner optimizer.
          optimizer: class of the inner optimizer.
          max_norm: largest norm that is not scaled down, or None for no limit.

        Raises:
          ValueError: max_norm is not positive.
        """
        if max_norm is not None and max_norm <= 0:
            raise ValueError(
                f"ClippedOptimizer.max_norm = {max_norm}: must be positive, or None for no limit"
            )
        self._optimizer = optimizer(learning_rate=learning_rate)
        self._max_norm = max_norm

    def apply_grads(
        self, grads: Sequence[mtf.Tensor | None], variables: Sequence[mtf.Variable]
    ) -> list[mtf.Operation]:
        """Apply the scaled gradients; None stands for a variable that the loss does not use."""
        used = [grad for grad in grads if grad is not None]
        if not used:
            return self._optimizer.apply_grads(grads, variables)
        squares = [mtf.reduce_sum(mtf.square(mtf.cast(grad, tf.float32))) for grad in used]
        norm = mtf.sqrt(mtf.add_n(squares))
        mtf.scalar_summary("gradient_norm", norm)
        if self._max_norm is not None:
            scale = mtf.minimum(1.0, self._max_norm * mtf.reciprocal(mtf.maximum(norm, 1e-30)))
            grads = [None if g is None else g * mtf.cast(scale, g.dtype) for g in grads]
        return self._optimizer.apply_grads(grads, variables)
