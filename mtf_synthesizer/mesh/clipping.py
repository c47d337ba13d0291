"""Reports the norm of the whole gradient and, if asked to, limits it."""

from collections.abc import Callable, Sequence

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf


@gin.configurable(module="mtf_synthesizer")
class ClippedOptimizer(mtf.optimize.Optimizer):
    """Another optimizer, given gradients g · min(1, max_norm / |g|) instead of g.

    |g| is the norm over all variables together. Adafactor's own limit acts on the update of one
    variable after its scaling, and does not notice when one batch's whole gradient is an outlier.

    The norm before clipping goes to the collection of `mtf.scalar_summary` as `gradient_norm`;
    where max_norm is None and no summary is written it is never computed.
    """

    def __init__(
        self,
        learning_rate: float | tf.Tensor | None = None,
        optimizer: Callable[..., mtf.optimize.Optimizer] = mtf.optimize.AdafactorOptimizer,
        max_norm: float | None = None,
    ):
        """Makes the inner optimizer.

        Args:
          learning_rate: passed on to the optimizer.
          optimizer: its class.
          max_norm: the largest norm let through, or None for no limit.

        Raises:
          ValueError: if max_norm is not positive.
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
        """Applies the scaled gradients; None stands for a variable that the loss does not use."""
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
