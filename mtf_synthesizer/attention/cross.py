"""SyntheticEncDecAttention: softmax(S(X)) G(M) between the decoder's and the encoder's positions.

The paper found that this attention can't be replaced (Section 4). Here every synthesizing function
can take its place: a query is a token x_i of the decoder at position p_i, a key is a token m_j of
the encoder's output M at position p_j.
"""

from __future__ import annotations

from collections.abc import Callable

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention import masks
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.interface import SynthesizingFunction, View, cached
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.positions import Looked, Positions, Range, within_sequences
from mtf_synthesizer.attention.projections import Projections
from mtf_synthesizer.mesh import products


class CrossView(View):
    """A synthesizing function's view of attention over the encoder's output.

    Queries, `length` and `sequences` are those of the decoder, keys and `memory_length` those of
    the encoder's output. While decoding, projections of the keys are constant states of Mesh.
    """

    def tokens(self, present: mtf.Tensor) -> mtf.Tensor:
        """Return which queries are real tokens, bool [batch, length]."""
        ids = self.context.sequence_id
        if isinstance(ids, mtf.Tensor) and self.length in ids.shape.dims:
            return mtf.not_equal(ids, 0)
        batch = [d for d in present.shape.dims if d != self.memory_length]
        return mtf.cast(mtf.ones(self.context.mesh, mtf.Shape([*batch, self.length])), tf.bool)

    def distances(self) -> mtf.Tensor:
        """Return p_j - p_i for each query i and key j, with batch dimensions in packed rows."""
        keys, queries = self._numbers(self.keys), self._numbers(self.queries)
        return mtf.add(keys, -queries, output_shape=self._part([keys, queries]))

    def key_sequences(self) -> mtf.Tensor:
        """Return the sequence of each key, int32 [batch, memory_length], in packed rows."""
        ids: mtf.Tensor = self.context.encoder_sequence_id
        return ids

    def memory(self, x: mtf.Tensor) -> mtf.Tensor:
        """Return the encoder's output, [batch, memory_length, d_model]."""
        output: mtf.Tensor = self.context.encoder_output
        return output

    def _of_memory(self, project: Callable[[mtf.Tensor], mtf.Tensor]) -> mtf.Tensor:
        context = self.context
        if self.decoding:
            state: mtf.Tensor = context.get_constant_state()
            return state
        projected = project(context.encoder_output)
        if context.mode == "first_part":
            projected = products.as_matrices(projected, self.memory_length)
            context.record_constant_state(projected)
        return projected

    def _positions(self, sequences: mtf.Tensor | None) -> tuple[Positions, Positions]:
        if self.decoding:
            return super()._positions(sequences)
        if sequences is None:
            return Range(self.length), Range(self.memory_length)
        ids = masks.own_ids(self.context)
        assert ids is not None
        return self._within(ids, self.length), self._within(
            self.key_sequences(), self.memory_length
        )

    def _within(self, ids: mtf.Tensor, dim: mtf.Dimension) -> Looked:
        def recover() -> mtf.Tensor:
            return within_sequences(ids, dim)

        return Looked(cached(self.context, ("positions within", ids), recover), dim.size)

    def _numbers(self, positions: Positions) -> mtf.Tensor:
        if isinstance(positions, Range):
            return mtf.range(self.context.mesh, positions.dim, tf.int32)
        assert isinstance(positions, Looked)
        return positions.positions


@gin.configurable(module="mtf_synthesizer")
class SyntheticEncDecAttention(SyntheticAttention, transformer_layers.EncDecAttention):
    """Y = softmax(S) G(M) with any synthesizing function S, over the encoder's output M.

    Replaces T5's `EncDecAttention` in a decoder. The variables v and o (and q, k if a dot product
    takes part) have its names, shapes and initializers; as there, no relative position bias exists.
    Functions of positions alone take the path without an attention matrix per example. The other
    parameters are those of `SyntheticAttention`.

    Args:
      synthesizer: S; the dot product by default. `Heads` gives heads functions of their own.

    Raises:
      ValueError: a parameter is out of range, or (when called) the stack has no encoder.
    """

    def __init__(
        self,
        synthesizer: SynthesizingFunction | Heads | None = None,
        num_heads: int = 8,
        num_memory_heads: int = 0,
        key_value_size: int = 128,
        shared_kv: bool = False,
        dropout_rate: float = 0.0,
        extra_logit: float | None = None,
        combine_dims: bool = True,
        fold_scaling_into_initializer: bool = True,
    ):
        super().__init__(
            synthesizer,
            num_heads=num_heads,
            num_memory_heads=num_memory_heads,
            key_value_size=key_value_size,
            shared_kv=shared_kv,
            dropout_rate=dropout_rate,
            extra_logit=extra_logit,
            # Given, because gin applies bindings of SyntheticAttention to what is not.
            relative_attention_type=None,
            combine_dims=combine_dims,
            fold_scaling_into_initializer=fold_scaling_into_initializer,
        )

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """Return the layer's output, as `SyntheticAttention.call` does."""
        return _Beside(super().call(context, x, losses), x).outputs[0]

    def _view(self, context: transformer.Context, x: mtf.Tensor, projections: Projections) -> View:
        if context.encoder_output is None:
            raise ValueError(
                f"{tf.get_variable_scope().name}: SyntheticEncDecAttention needs an encoder. "
                "Use it in decoder/transformer.make_layer_stack.layers alone"
            )
        memory_length = context.encoder_length_dim
        return CrossView(context, x, memory_length, projections, masks.of_pairs(context))

    def _logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        logits = super()._logits(context, x, view)
        beams = set(context.batch_dims) - set(context.encoder_output.shape.dims)
        if view.decoding or beams:
            # One row for each example: the encoder's output has its padding, and no beams.
            others = [d for d in logits.shape.dims if d not in context.batch_dims]
            logits = mtf.broadcast(logits, mtf.Shape([*context.batch_dims, *others]))
        return logits

    def _present(self, context: transformer.Context, view: View) -> mtf.Tensor | None:
        return masks.encoder_padding(context)

    def _biases(self, context: transformer.Context, view: View) -> list[mtf.Tensor]:
        return masks.encoder_biases(context)


class _Beside(mtf.Operation):
    """y, with a gradient of 0 to x.

    Logits of positions leave the layer's input unused. Its norm would then have no gradient at all,
    which Mesh refuses in microbatches.
    """

    def __init__(self, y: mtf.Tensor, x: mtf.Tensor):
        super().__init__([y, x], name="beside")
        self._outputs = [mtf.Tensor(self, y.shape, y.dtype)]

    def gradient(self, grad_ys: list[mtf.Tensor]) -> list[mtf.Tensor | None]:
        return [grad_ys[0], mtf.zeros_like(self.inputs[1])]

    def lower(self, lowering: mtf.Lowering) -> None:
        lowering.set_tensor_lowering(self.outputs[0], lowering.tensors[self.inputs[0]])
