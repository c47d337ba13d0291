"""Lightweight and dynamic convolutions in the place of self-attention (Wu et al. 2019).

https://arxiv.org/abs/1901.10430, the baselines LightConv and DyConv of the paper's Tables 4 to 6.
"""

from __future__ import annotations

import abc

import mtf_synthesizer.compat  # noqa: F401  isort:skip
import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer import masks
from mtf_synthesizer.convolution import convolve
from mtf_synthesizer.interface import cached
from mtf_synthesizer.lookup import take
from mtf_synthesizer.projections import Projections, head_dims


class Convolution(transformer.TransformerLayer, abc.ABC):
    """Y_i = W_O sum_o softmax(kernel)[h, o] G_{i + o - before}, with G = (W_V X) sigmoid(W_G X).

    A kernel of `kernel_width` weights, normalised by a softmax over them, is shared by the
    channels of a head (the paper's Equation 4). Its window is centred in an encoder (of an even
    width the larger half lies behind) and in a decoder ends at the position itself. Positions
    before and after the sequence count as zeros; the weights are not normalised again there.
    No window reaches into another sequence of a packed row.

    Variables: v, gate and o as T5's attention has its v and o, and `kernel`; no biases, like all
    projections of T5. While decoding, the last `kernel_width - 1` gated values are cached.

    Args:
      num_heads: number of kernels of a layer (of a position) H.
      key_value_size: channels that share a kernel; H times as many is the paper's d.
      kernel_width: positions that a kernel covers, k; Table 4 has 9.
      dropout_rate: share of a kernel's normalised weights dropped in training (DropConnect).

    Raises:
      ValueError: a parameter is out of range, or (when called) the model needs what the layer
        does not offer.
    """

    def __init__(
        self,
        num_heads: int = 8,
        key_value_size: int = 128,
        kernel_width: int = 9,
        dropout_rate: float = 0.0,
    ):
        name = type(self).__name__
        if num_heads < 1:
            raise ValueError(f"{name}.num_heads is {num_heads}; it must be at least 1")
        if kernel_width < 2:
            raise ValueError(
                f"{name}.kernel_width is {kernel_width}; it must be at least 2, as 1 mixes no "
                "positions"
            )
        if not 0 <= dropout_rate < 1:
            raise ValueError(
                f"{name}.dropout_rate is {dropout_rate}; it must be at least 0 and below 1"
            )
        self.heads, _ = head_dims(num_heads, 0)
        self.channels = mtf.Dimension("d_kv", key_value_size)
        self.width = mtf.Dimension("kernel_width", kernel_width)
        self.dropout_rate = dropout_rate

    @abc.abstractmethod
    def logits(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Kernels before the softmax.

        Args:
          context: Mesh's context.
          gated: [batch, length, heads, channels], without length while decoding.

        Returns:
          [heads, width], or one kernel for each position: [batch, length, heads, width].
        """

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """The layer's output.

        Args:
          context: Mesh's context.
          x: [batch, length, d_model], without length while decoding.
          losses: unused, as in `SelfAttention`.

        Returns:
          A tensor of x's shape.
        """
        self._check(context)
        projections = self._projections(context)
        gated = projections.compute_gated(x)
        kernel = self._kernel(context, gated)
        if context.mode == "incremental":
            window = self._window(context, gated)
            y = mtf.einsum([window, kernel], gated.shape)
        else:
            y = self._convolved(context, gated, kernel)
        return projections.compute_output(y, output_shape=x.shape)

    def _check(self, context: transformer.Context) -> None:
        name = type(self).__name__
        if context.model.ensemble_dims:
            raise ValueError(
                f"{name} does not offer ensembles: leave Unitransformer.ensemble unset"
            )
        if context.model.input_full_attention:
            raise ValueError(
                f"{name} has one window for all positions and can't be centred in the inputs of a "
                "prefix language model alone: leave Unitransformer.input_full_attention False"
            )

    def _projections(self, context: transformer.Context) -> _Gated:
        return _Gated(
            context.mesh,
            query_input_dim=context.model.model_dim,
            memory_input_dim=context.model.model_dim,
            output_dim=context.model.model_dim,
            key_dim=self.channels,
            value_dim=self.channels,
            query_heads_dims=self.heads,
            memory_heads_dims=self.heads,
            variable_dtype=context.variable_dtype,
        )

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
        return convolve(gated, kernel, length, self.heads, self.channels, self.width, before)

    def _visible(
        self, context: transformer.Context, sequences: mtf.Tensor, before: int
    ) -> mtf.Tensor:
        """Which positions of each window lie in its own sequence: bool [batch, length, width]."""

        def visible() -> mtf.Tensor:
            shifted = [
                mtf.shift(sequences, before - o, context.length_dim, wrap=False)
                for o in range(self.width.size)
            ]
            return mtf.stack([mtf.equal(s, sequences) for s in shifted], self.width.name, -1)

        return cached(context, ("window", sequences, self.width.size, before), visible)

    @property
    def _earlier(self) -> mtf.Dimension:
        return mtf.Dimension("window", self.width.size - 1)

    def _last(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """What decoding begins with: the positions before the first one it will decode."""
        length = context.length_dim
        padded = mtf.pad(gated, [self._earlier.size, 0], length.name)
        start = mtf.range(context.mesh, self._earlier, tf.int32) + context.initial_position
        last = take(padded, start, mtf.Dimension(length.name, length.size + self._earlier.size))
        return mtf.transpose(last, self._state_shape(context))

    def _window(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """The positions of a decoding step's window, [batch, width, heads, channels]."""
        (earlier,) = context.get_states(1)
        here = mtf.Dimension(self._earlier.name, 1)
        now = mtf.transpose(gated, self._state_shape(context) - self._earlier)
        now = mtf.reshape(now, mtf.Shape([*context.batch_dims, here, *self.heads, self.channels]))
        window = mtf.concat([earlier, now], here.name)
        context.record_new_states([mtf.slice(window, 1, self._earlier.size, here.name)])
        return mtf.rename_dimension(window, here.name, self.width.name)

    def _state_shape(self, context: transformer.Context) -> mtf.Shape:
        return mtf.Shape([*context.batch_dims, self._earlier, *self.heads, self.channels])


@gin.configurable
class LightConv(Convolution):
    """Lightweight convolution: one learned kernel for all positions (the paper's Section 3).

    Variable `kernel` [heads, kernel_width], drawn as the authors' code draws it.
    """

    def logits(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """Learned numbers."""
        shape = mtf.Shape([*self.heads, self.width])
        limit = (6 / (self.width.size + shape.size)) ** 0.5
        return mtf.get_variable(
            context.mesh,
            "kernel",
            shape,
            initializer=tf.random_uniform_initializer(-limit, limit),
            dtype=context.variable_dtype,
        )


@gin.configurable
class DynamicConv(Convolution):
    """Dynamic convolution: each position predicts its own kernel (the paper's Section 4).

    f(G_i) = W G_i, a linear function of the gated value of the position alone. Variable `kernel`
    [heads, channels, kernel_heads, kernel_width]: every channel has a say in every head's kernel.
    """

    def logits(self, context: transformer.Context, gated: mtf.Tensor) -> mtf.Tensor:
        """W G_i."""
        inputs = [*self.heads, self.channels]
        outputs = [mtf.Dimension(f"kernel_{d.name}", d.size) for d in self.heads]
        weight = mtf.get_variable(
            context.mesh,
            "kernel",
            mtf.Shape([*inputs, *outputs, self.width]),
            initializer=tf.random_normal_initializer(stddev=mtf.Shape(inputs).size ** -0.5),
            dtype=context.variable_dtype,
        )
        logits = mtf.einsum([gated, weight], reduced_dims=inputs)
        for own, heads in zip(outputs, self.heads, strict=True):
            logits = mtf.rename_dimension(logits, own.name, heads.name)
        return logits


class _Gated(Projections):
    """T5's projections of values and outputs, and a gate of the values' shape."""

    def compute_gated(self, x: mtf.Tensor) -> mtf.Tensor:
        """The gated linear unit (W_V x) sigmoid(W_G x), [batch, length, heads, d_kv]."""
        weight = self._weight("gate", self.v_shape, self.memory_input_dim.size)
        gate = mtf.layers.us_einsum([x, weight], reduced_dims=[self.memory_input_dim])
        gate = mtf.replace_dimensions(gate, gate.shape.dims[-1], self.v_dims)
        return self.compute_v(x) * mtf.sigmoid(gate)
