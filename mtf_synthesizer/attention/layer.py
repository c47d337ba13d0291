"""SyntheticAttention: softmax(S(X)) G(X) as a Mesh-TensorFlow transformer layer.

Importing this module registers the layer and every synthesizing function with gin.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Iterator

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention import masks, relative_bias, softmax
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.interface import SynthesizingFunction, View
from mtf_synthesizer.attention.projections import Projections, head_dims
from mtf_synthesizer.attention.synthesizers import DotProduct
from mtf_synthesizer.mesh.late_sums import cast


@gin.configurable(module="mtf_synthesizer")
class SyntheticAttention(transformer_layers.SelfAttention):
    """Y = softmax(S(X)) G(X) with any synthesizing function S (paper, Equations 3 and 4).

    Replaces T5's `SelfAttention` in `Unitransformer` and `Bitransformer`, encoder and decoder.
    The variables v and o (and q, k if a dot product takes part) have the names, shapes and
    initializers of `SelfAttention`, directly under the layer's scope.

    Args:
      synthesizer: S; the dot product by default. `Heads` gives heads functions of their own.
      num_heads: number of heads h.
      num_memory_heads: heads of keys and values: 0 for as many as queries, 1 for multi-query.
      key_value_size: d_kv, the width of one head.
      shared_kv: whether keys and values share one projection, kv; useful with the dot product.
      dropout_rate: share of attention weights dropped in training. As in T5, one mask for each
        example, head and key is shared by all queries.
      extra_logit: a constant logit that takes its share of the softmax and attends to nothing.
      relative_attention_type: None, "bias", "bias_shared" or "contextual", as in T5.
      relative_attention_num_buckets: number of buckets of relative positions.
      combine_dims: whether heads and d_kv are one dimension of the projections' variables.
      fold_scaling_into_initializer: if False, queries are scaled by 1/sqrt(d_kv) instead.

    Raises:
      ValueError: a parameter is out of range, or (when called) the model needs a feature that the
        layer does not support.
    """

    # Of a layer that is one group of another's heads.
    group: int | None = None
    further_heads: int = 0
    groups: tuple[SyntheticAttention, ...] = ()

    def __init__(
        self,
        synthesizer: SynthesizingFunction | Heads | None = None,
        num_heads: int = 8,
        num_memory_heads: int = 0,
        key_value_size: int = 128,
        shared_kv: bool = False,
        dropout_rate: float = 0.0,
        extra_logit: float | None = None,
        relative_attention_type: str | None = None,
        relative_attention_num_buckets: int = 32,
        combine_dims: bool = True,
        fold_scaling_into_initializer: bool = True,
    ):
        super().__init__(
            num_heads=num_heads,
            num_memory_heads=num_memory_heads,
            key_value_size=key_value_size,
            shared_kv=shared_kv,
            dropout_rate=dropout_rate,
            relative_attention_type=relative_attention_type,
            relative_attention_num_buckets=relative_attention_num_buckets,
            combine_dims=combine_dims,
            fold_scaling_into_initializer=fold_scaling_into_initializer,
        )
        self.synthesizer = synthesizer if synthesizer is not None else DotProduct()
        self.extra_logit = extra_logit
        self._check()
        self.groups = self._make_groups()

    def _check(self) -> None:
        if not isinstance(self.synthesizer, SynthesizingFunction | Heads):
            raise ValueError(
                f"{type(self).__name__}.synthesizer is {self.synthesizer!r}; it must be a "
                "synthesizing function, in gin with parentheses: @Random()"
            )
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(
                f"{type(self).__name__}.dropout_rate is {self.dropout_rate}; it must be a number "
                "in [0, 1)"
            )
        known = (None, *relative_bias.KINDS)
        if self.relative_attention_type not in known:
            raise ValueError(
                f"SyntheticAttention.relative_attention_type is "
                f"{self.relative_attention_type!r}; it must be one of {known}"
            )

    def _make_groups(self) -> tuple[SyntheticAttention, ...]:
        """A layer for each group of heads; none where all heads have one function."""
        if not isinstance(self.synthesizer, Heads):
            return ()
        if self.num_memory_heads:
            raise ValueError(
                f"SyntheticAttention.num_memory_heads is {self.num_memory_heads}, but heads of "
                "Heads have keys and values of their own: leave it 0"
            )
        sizes = self.synthesizer.sizes(self.num_heads)
        functions = self.synthesizer.functions
        groups = [copy.copy(self) for _ in functions]
        for group, (layer, size, function) in enumerate(zip(groups, sizes, functions, strict=True)):
            layer.synthesizer, layer.num_heads, layer.group = function, size, group
            layer.further_heads = self.num_heads - size
        return tuple(groups)

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """Return the layer's output.

        Args:
          context: Mesh's context.
          x: [batch, length, d_model], without length while decoding.
          losses: unused, as in `SelfAttention`.

        Returns:
          A tensor of x's shape.

        Raises:
          ValueError: the model is an ensemble, or the logits lack a dimension.
        """
        if context.model.ensemble_dims:
            raise ValueError(
                "SyntheticAttention does not support ensembles: leave Unitransformer.ensemble unset"
            )
        if self.groups:
            return self._call_groups(context, x)
        projections = self.make_params(context)
        view = self._view(context, x, projections)
        view.group = self.group
        values = self._dropped_out(context, view, view.value())
        logits = self._logits(context, x, view)
        relative = self._relative_bias(view)
        biases = self._biases(context, view) + ([] if relative is None else [relative])
        outputs = self._attend(context, view, logits, biases, values, (x, relative))
        return projections.compute_output(outputs, output_shape=x.shape)

    def _view(self, context: transformer.Context, x: mtf.Tensor, projections: Projections) -> View:
        memory_length = self.memory_length(context)
        return View(context, x, memory_length, projections, masks.sequences(context))

    def _present(self, context: transformer.Context, view: View) -> mtf.Tensor | None:
        """Return which keys are real tokens, for rows of one sequence."""
        return masks.padding(context, view.memory_length)

    def _call_groups(self, context: transformer.Context, x: mtf.Tensor) -> mtf.Tensor:
        """The sum over groups of heads, each with its variables in a scope of its own."""
        outputs = []
        with _joined():
            for layer in self.groups:
                with tf.variable_scope(f"heads_{layer.group}"):
                    outputs.append(layer.call(context, x))
        return mtf.add_n(outputs)

    def make_params(self, context: transformer.Context) -> Projections:
        """Return the projections, whose variables are made on first use."""
        heads, memory_heads = head_dims(self.num_heads, self.num_memory_heads)
        width = context.model.model_dim
        projections = Projections(
            context.mesh,
            query_input_dim=width,
            memory_input_dim=width,
            output_dim=width,
            key_dim=self.kv_dim,
            value_dim=self.kv_dim,
            query_heads_dims=heads,
            memory_heads_dims=memory_heads,
            variable_dtype=context.variable_dtype,
            shared_kv=self.shared_kv,
            combine_dims=self.combine_dims,
            fold_scaling_into_initializer=self.fold_scaling_into_initializer,
        )
        projections.further_heads = self.further_heads
        return projections

    def _logits(self, context: transformer.Context, x: mtf.Tensor, view: View) -> mtf.Tensor:
        assert isinstance(self.synthesizer, SynthesizingFunction)
        logits = self.synthesizer.logits(context, x, view)
        needed = [*view.heads, view.memory_length]
        if not view.decoding:
            needed.append(view.length)
        missing = [d for d in needed if d not in logits.shape.dims]
        if missing:
            # Mesh would broadcast silently, and every query (or head) would get the same logits.
            raise ValueError(
                f"{type(self.synthesizer).__name__}.logits returned {logits.shape}, without "
                f"{missing}. Logits need {needed} and may have the batch dimensions"
            )
        return cast(logits, tf.float32)

    def _biases(self, context: transformer.Context, view: View) -> list[mtf.Tensor]:
        biases = masks.position_biases(context, view.memory_length)
        return biases + masks.sequence_biases(context, view.memory_length)

    def _relative_bias(self, view: View) -> mtf.Tensor | None:
        if self.relative_attention_type is None:
            return None
        buckets = mtf.Dimension("buckets", self.relative_attention_num_buckets)
        return relative_bias.KINDS[self.relative_attention_type](view, buckets)

    def _dropped_out(
        self, context: transformer.Context, view: View, values: mtf.Tensor
    ) -> mtf.Tensor:
        # All queries share one mask, so it can act on the values instead of the larger weights.
        dims = [*context.batch_dims, *view.heads, view.memory_length]
        # In the order of the values, so that Mesh multiplies instead of contracting.
        ordered = [d for d in values.shape.dims if d in dims]
        noise = mtf.Shape([*ordered, *(d for d in dims if d not in ordered)])
        return mtf.dropout(values, context.train, rate=self.dropout_rate, noise_shape=noise)

    def _attend(
        self,
        context: transformer.Context,
        view: View,
        logits: mtf.Tensor,
        biases: list[mtf.Tensor],
        values: mtf.Tensor,
        seen: tuple[mtf.Tensor, mtf.Tensor | None],
    ) -> mtf.Tensor:
        for bias in sorted(biases, key=lambda b: b.shape.size):
            logits = view.plus(logits, bias)
        present = self._present(context, view)
        depends_on_example = set(logits.shape.dims) & set(context.batch_dims)
        if not depends_on_example and self.extra_logit is None:
            weights, outputs = softmax.global_path(logits, values, present, view)
        else:
            weights, outputs = softmax.general_path(logits, values, present, view, self.extra_logit)
            present = None  # the weights already include the padding mask
        for recorded in _recordings:
            layer = tf.get_variable_scope().name
            recorded.append(Recorded(layer, weights(), present, *seen))
        return outputs


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Attention weights of one layer, before dropout.

    Attributes:
      layer: the layer's variable scope.
      weights: softmax(S(X)), float32 [(batch,) heads, length, memory_length] in some order.
        Weights shared by all examples have no batch dimension and do not mask padding.
      present: bool [batch, memory_length], which keys are real tokens: renormalise weights without
        batch over them. None: nothing to mask.
      inputs: [batch, length, d_model], the layer's input, if the layer is one of ours.
      relative_bias: the relative position bias among its logits, None without one.
    """

    layer: str
    weights: mtf.Tensor
    present: mtf.Tensor | None = None
    inputs: mtf.Tensor | None = None
    relative_bias: mtf.Tensor | None = None


_recordings: list[list[Recorded]] = []
_OF_A_MAP = ("heads", "length", "memory_length")


@contextlib.contextmanager
def recording() -> Iterator[list[Recorded]]:
    """Yield a list to which every `SyntheticAttention` called inside adds its weights.

    Use this in evaluation graphs, because a training step has no use for the extra tensors.
    """

    recorded: list[Recorded] = []
    _recordings.append(recorded)
    try:
        yield recorded
    finally:
        _recordings.remove(recorded)


@contextlib.contextmanager
def _joined() -> Iterator[None]:
    """Record the groups of heads that are called inside as one layer."""
    outer, groups = list(_recordings), list[Recorded]()
    _recordings[:] = [groups] if outer else []
    try:
        yield
    finally:
        _recordings[:] = outer
    for recorded in outer:
        recorded.append(_joined_heads(tf.get_variable_scope().name, groups))


def _joined_heads(layer: str, groups: list[Recorded]) -> Recorded:
    """The weights of all heads, for each example where those of any group differ by example."""
    batch = [d for group in groups for d in group.weights.shape.dims if d.name not in _OF_A_MAP]
    batch = list(dict.fromkeys(batch))
    present = None if batch else groups[0].present
    parts = []
    for group in groups:
        weights, dims = group.weights, group.weights.shape.dims
        if batch and group.present is not None:
            memory = next(d for d in dims if d.name == "memory_length")
            weights *= mtf.cast(group.present, weights.dtype)
            weights /= mtf.maximum(mtf.reduce_sum(weights, reduced_dim=memory), 1e-30)
        maps = [next(d for d in dims if d.name == name) for name in ("length", "memory_length")]
        heads = [d for d in dims if d.name == "heads"]
        weights = mtf.broadcast(weights, mtf.Shape([*batch, *heads, *maps]))
        heads = heads or [mtf.Dimension("heads", 1)]
        parts.append(mtf.reshape(weights, mtf.Shape([*batch, *heads, *maps])))
    return Recorded(layer, mtf.concat(parts, "heads"), present)
