"""Lightweight and dynamic convolutions instead of self-attention (Wu et al. 2019).

https://arxiv.org/abs/1901.10430, the baselines LightConv and DyConv of the paper's Tables 4 to 6.
"""

from __future__ import annotations

import abc

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.attention import masks
from mtf_synthesizer.attention.checks import check_at_least
from mtf_synthesizer.attention.interface import cached
from mtf_synthesizer.attention.projections import Projections
from mtf_synthesizer.baselines.convolution import Window, convolve
from mtf_synthesizer.baselines.layer import BaselineLayer
from mtf_synthesizer.mesh.lookup import take


class Convolution(BaselineLayer):
    """Y_i = W_O sum_o softmax(kernel)[h, o] G_{i + o - before}, with G = (W_V X) sigmoid(W_G X).

    The channels of a head share a kernel of `kernel_width` weights, normalised by a softmax
    (Equation 4 of Wu et al.). In an encoder the window is centred; the larger half of an even width
    follows the position. In a decoder the window ends at the position itself. Positions before and
    after the sequence count as zeros, and the weights are not normalised again there. No window
    reaches into another sequence of a packed row.

    Variables: v, gate and o like v and o of T5's attention, and `kernel`; no biases, as in all
    projections of T5. While decoding, the last `kernel_width - 1` gated values are cached.

    Args:
      num_heads: number of kernels per layer or position, H.
      key_value_size: channels that share a kernel; H times key_value_size is the paper's d.
      kernel_width: positions that a kernel covers, k; Table 4 has 9.
      dropout_rate: share of a kernel's normalised weights dropped in training (DropConnect).

    Raises:
      ValueError: a parameter is out of range, or (when called) the model needs a feature that the
        layer does not support.
    """

    def __init__(
        self,
        num_heads: int = 8,
        key_value_size: int = 128,
        kernel_width: int = 9,
        dropout_rate: float = 0.0,
    ):
        super().__init__(num_heads, key_value_size, dropout_rate)
        binding = f"{type(self).__name__}.kernel_width"
        check_at_least(2, binding, kernel_width, reason=", as 1 mixes no positions")
        self.width = mtf.Dimension("kernel_width", kernel_width)

    @abc.abstractmethod
    def logits(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Return the kernels before the softmax.

        Args:
          context: Mesh's context.
          gated: [batch, length, heads, channels], without length while decoding.

        Returns:
          [heads, width], or one kernel for each position: [batch, length, heads, width].
        """

    def check(self, context: transformer.Context) -> None:
        """Raise a ValueError for ensembles and prefix language models."""
        super().check(context)
        if context.model.input_full_attention:
            raise ValueError(
                f"{type(self).__name__} has one window for all positions, which can't be centred "
                "in the inputs of a prefix language model alone. Leave "
                "Unitransformer.input_full_attention False"
            )

    def mixed(
        self, context: transformer.Context, x: mtf.Tensor, projections: Projections
    ) -> mtf.Tensor:
        """Return the convolved gated values."""
        gate = _Gate.of_layer(context, self.heads, self.kv).compute_v(x)
        gated = projections.compute_v(x) * mtf.sigmoid(gate)
        kernel = self._kernel(context, gated)
        if context.mode == "incremental":
            return mtf.einsum([self._window(context, gated), kernel], gated.shape)
        return self._convolved(context, gated, kernel)

    def _kernel(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        logits = mtf.cast(self.logits(context, gated), tf.float32)
        kernel = mtf.cast(mtf.softmax(logits, self.width), gated.dtype)
        return mtf.dropout(kernel, context.train, rate=self.dropout_rate)

    def _convolved(
        self, context: transformer.Context, gated: mtf.Tensor, kernel: mtf.Tensor
    ) -> mtf.Tensor:
        length = context.length_dim
        causal = context.read_priority is not None
        before = self.width.size - 1 if causal else (self.width.size - 1) // 2
        sequences = masks.sequences(context)
        if sequences is not None:
            kernel *= mtf.cast(self._visible(context, sequences, before), kernel.dtype)
        memory = mtf.Dimension("memory_length", length.size)
        present = masks.padding(context, memory)
        if present is not None:
            present = mtf.replace_dimensions(present, memory, length)
            gated *= mtf.cast(present, gated.dtype)
        if context.mode == "first_part":
            context.record_new_states([self._last(context, gated)])
        return convolve(gated, kernel, Window(length, self.heads, self.kv, self.width, before))

    def _visible(
        self, context: transformer.Context, sequences: mtf.Tensor, before: int
    ) -> mtf.Tensor:
        """Return which window positions lie in the own sequence: bool [batch, length, width]."""

        def visible() -> mtf.Tensor:
            shifted = [
                mtf.shift(sequences, before - o, context.length_dim, wrap=False)
                for o in range(self.width.size)
            ]
            return mtf.stack(
                [mtf.equal(shifted_ids, sequences) for shifted_ids in shifted], self.width.name, -1
            )

        return cached(context, ("window", sequences, self.width.size, before), visible)

    @property
    def _earlier(self) -> mtf.Dimension:
        return mtf.Dimension("window", self.width.size - 1)

    def _last(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Return the state before decoding: the positions before the first decoded position."""
        length = context.length_dim
        padded = mtf.pad(gated, [self._earlier.size, 0], length.name)
        start = mtf.range(context.mesh, self._earlier, tf.int32) + context.initial_position
        last = take(padded, start, mtf.Dimension(length.name, length.size + self._earlier.size))
        return mtf.transpose(last, self._state_shape(context))

    def _window(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Return the positions in a decoding step's window, [batch, width, heads, channels]."""
        (earlier,) = context.get_states(1)
        last = mtf.Dimension(self._earlier.name, 1)
        now = mtf.transpose(gated, self._state_shape(context) - self._earlier)
        now = mtf.reshape(now, mtf.Shape([*context.batch_dims, last, *self.heads, self.kv]))
        window = mtf.concat([earlier, now], last.name)
        context.record_new_states([mtf.slice(window, 1, self._earlier.size, last.name)])
        return mtf.rename_dimension(window, last.name, self.width.name)

    def _state_shape(self, context: transformer.Context) -> mtf.Shape:
        return mtf.Shape([*context.batch_dims, self._earlier, *self.heads, self.kv])


@gin.configurable(module="mtf_synthesizer")
class LightConv(Convolution):
    """Lightweight convolution: one learned kernel for all positions (Wu et al., Section 3).

    Variable `kernel` [heads, kernel_width], initialized as in the authors' code.
    """

    def logits(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Return the learned kernel."""
        dims = [*self.heads, self.width]
        limit = (6 / (self.width.size + mtf.Shape(dims).size)) ** 0.5
        initializer = tf.random_uniform_initializer(-limit, limit)
        return self.variable(context, "kernel", dims, initializer)


@gin.configurable(module="mtf_synthesizer")
class DynamicConv(Convolution):
    """Dynamic convolution: each position predicts its own kernel (Wu et al., Section 4).

    f(G_i) = W G_i, a linear function of the gated value of that position alone. Variable `kernel`
    [heads, channels, kernel_heads, kernel_width]: every channel contributes to every head's kernel.
    """

    def logits(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Return W G_i."""
        inputs = [*self.heads, self.kv]
        outputs = [mtf.Dimension(f"kernel_{d.name}", d.size) for d in self.heads]
        initializer = tf.random_normal_initializer(stddev=mtf.Shape(inputs).size ** -0.5)
        weight = self.variable(context, "kernel", [*inputs, *outputs, self.width], initializer)
        logits = mtf.einsum([gated, weight], reduced_dims=inputs)
        for own, heads in zip(outputs, self.heads, strict=True):
            logits = mtf.rename_dimension(logits, own.name, heads.name)
        return logits


class _Gate(Projections):
    """A projection like the values' projection, named gate."""

    @property
    def wv(self) -> mtf.Tensor:
        return self._weight("gate", self.v_shape, self.memory_input_dim.size)
