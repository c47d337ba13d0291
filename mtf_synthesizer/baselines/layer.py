"""Base class of the layers that Synthesizers are compared with."""

from __future__ import annotations

import abc

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention import checks
from mtf_synthesizer.attention.projections import Projections, head_dims


class BaselineLayer(transformer.TransformerLayer, abc.ABC):
    """Y = W_O mixed(X), a layer that replaces T5's `SelfAttention`.

    Args:
      num_heads: number of heads h.
      key_value_size: d_kv, the width of one head.
      dropout_rate: share of weights dropped in training.

    Raises:
      ValueError: a parameter is out of range, or (when called) the model needs a feature that the
        layer does not support.
    """

    def __init__(self, num_heads: int, key_value_size: int, dropout_rate: float):
        name = type(self).__name__
        checks.check_at_least(1, f"{name}.num_heads", num_heads)
        checks.check_at_least(1, f"{name}.key_value_size", key_value_size)
        checks.check_rate(f"{name}.dropout_rate", dropout_rate)
        self.heads, _ = head_dims(num_heads, 0)
        self.kv = mtf.Dimension("d_kv", key_value_size)
        self.dropout_rate = dropout_rate

    @abc.abstractmethod
    def mixed(
        self, context: transformer.Context, x: mtf.Tensor, projections: Projections
    ) -> mtf.Tensor:
        """Return the outputs of all heads.

        Args:
          context: Mesh's context.
          x: [batch, length, d_model], without length while decoding.
          projections: T5's q, k, v and o.

        Returns:
          [batch, length, heads, d_kv] in some order, without length while decoding.
        """

    def check(self, context: transformer.Context) -> None:
        """Raise a ValueError for models that the layer can't be part of."""
        checks.refuse_ensembles(type(self).__name__, context)

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """Return the layer's output, of x's shape; `losses` are unused, as in `SelfAttention`."""
        self.check(context)
        projections = Projections.of_layer(context, self.heads, self.kv)
        outputs = self.mixed(context, x, projections)
        return projections.compute_output(outputs, output_shape=x.shape)

    def variable(
        self,
        context: transformer.Context,
        name: str,
        dims: list[mtf.Dimension],
        initializer: tf.keras.initializers.Initializer,
    ) -> mtf.Tensor:
        """Return a trainable variable in the current scope."""
        return mtf.get_variable(
            context.mesh,
            name,
            mtf.Shape(dims),
            initializer=initializer,
            dtype=context.variable_dtype,
        )
