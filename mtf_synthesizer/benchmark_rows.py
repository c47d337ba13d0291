"""What the benchmark compares: self-attention layers by name, and a training step around them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import numpy as np

import mtf_synthesizer.compat  # noqa: F401  isort:skip
import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention import SyntheticAttention
from mtf_synthesizer.baselines import DynamicConv, LightConv, Linformer
from mtf_synthesizer.benchmark import Size
from mtf_synthesizer.interface import SynthesizingFunction
from mtf_synthesizer.mixture import Mixture
from mtf_synthesizer.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    FixedRandom,
    Random,
)

# Makes a layer of a size with a dropout rate.
MakeLayer = Callable[[Size, float], transformer.TransformerLayer]


class ValuesOnly(transformer_layers.SelfAttention):
    """Values and output projection with no mixing of positions: the limit of any synthesizer."""

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """W_O W_V x."""
        params = SyntheticAttention.make_params(self, context)
        return params.compute_output(params.compute_v(x), output_shape=x.shape)


class InEncoders(transformer.TransformerLayer):
    """A layer that can't decode in the encoder, another in the decoder."""

    def __init__(self, layer: transformer.TransformerLayer, other: transformer.TransformerLayer):
        self._layer, self._other = layer, other

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """The output of the stack's layer."""
        layer = self._other if context.model.autoregressive else self._layer
        return layer.call(context, x, losses)


def layers() -> dict[str, MakeLayer]:
    """Layers by row name: `t5` and `mesh-*` are the public ones, the others are ours.

    Relative position biases are where the gin files have them: T5's layer has one, and ours
    unless the function is a table. Tables are as long as the inputs in both stacks, as there;
    those of `mesh-*` have 512 rows, which the public layer can't change. Convolutions are 9 wide,
    the public ones causal in both stacks; the decoder of `linformer` is T5's.
    """

    def ours(bias: str | None, function: Callable[[int], SynthesizingFunction]) -> MakeLayer:
        def make(size: Size, dropout: float) -> transformer.TransformerLayer:
            return SyntheticAttention(
                function(max(size.inputs_length, size.targets_length)),
                num_heads=size.num_heads,
                key_value_size=size.d_kv,
                dropout_rate=dropout,
                relative_attention_type=bias,
            )

        return make

    def public(layer: type[transformer_layers.SelfAttention], **options: str) -> MakeLayer:
        def make(size: Size, dropout: float) -> transformer.TransformerLayer:
            return layer(
                num_heads=size.num_heads,
                key_value_size=size.d_kv,
                dropout_rate=dropout,
                **options,
            )

        return make

    def none(size: Size, dropout: float) -> transformer.TransformerLayer:
        return ValuesOnly(num_heads=size.num_heads, key_value_size=size.d_kv)

    def convolution(layer: type[LightConv] | type[DynamicConv]) -> MakeLayer:
        def make(size: Size, dropout: float) -> transformer.TransformerLayer:
            return layer(size.num_heads, size.d_kv, kernel_width=9, dropout_rate=dropout)

        return make

    def public_convolution(kind: str) -> MakeLayer:
        def make(size: Size, dropout: float) -> transformer.TransformerLayer:
            return transformer_layers.LocalConvAttnBlock(-8, 0, size.d_model, attention_type=kind)

        return make

    def linformer(size: Size, dropout: float) -> transformer.TransformerLayer:
        layer = Linformer(
            size.inputs_length,
            num_heads=size.num_heads,
            key_value_size=size.d_kv,
            dropout_rate=dropout,
        )
        t5 = public(transformer_layers.SelfAttention, relative_attention_type=shared)
        return InEncoders(layer, t5(size, dropout))

    shared = "bias_shared"
    return {
        "t5": public(transformer_layers.SelfAttention, relative_attention_type=shared),
        "t5-nobias": public(transformer_layers.SelfAttention),
        "none": none,
        "mesh-r": public(transformer_layers.Synthesizer, synthesize_mode="random"),
        "mesh-d": public(transformer_layers.Synthesizer, synthesize_mode="dense_minus"),
        "mesh-rv": public(transformer_layers.Synthesizer, synthesize_mode="random_plus_alpha"),
        "mesh-dv": public(transformer_layers.Synthesizer, synthesize_mode="dense_plus_alpha"),
        "mesh-lightconv": public_convolution("lightweight_conv"),
        "mesh-dynconv": public_convolution("dynamic_conv"),
        "lightconv": convolution(LightConv),
        "dynconv": convolution(DynamicConv),
        "linformer": linformer,
        "v": ours(shared, lambda n: DotProduct()),
        "r": ours(None, lambda n: Random(n)),
        "fix": ours(None, lambda n: FixedRandom(n)),
        "fr": ours(None, lambda n: FactorizedRandom(n)),
        "d": ours(shared, lambda n: Dense(n)),
        "fd": ours(shared, lambda n: FactorizedDense(n)),
        "rv": ours(shared, lambda n: Mixture([Random(n), DotProduct()])),
        "dv": ours(shared, lambda n: Mixture([Dense(n), DotProduct()])),
    }


class TrainingStep:
    """Forward, backward and Adafactor of a small T5 with the given self-attention.

    Args:
      make_layer: makes a self-attention layer.
      size: shape of model and batch.
      packed: sequences packed into each row; 0 for rows that are not packed.
      dropout: dropout rate wherever T5 has dropout.
      threads: threads of the session; 0 for all.
      embedding: how ids become vectors, for all layers the same; Mesh's own unless given.
    """

    def __init__(
        self,
        make_layer: MakeLayer,
        size: Size,
        packed: int = 0,
        dropout: float = 0.0,
        threads: int = 0,
        embedding: type[transformer.VocabEmbedding] = transformer.VocabEmbedding,
    ):
        self._graph = tf.Graph()
        config = tf.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        with self._graph.as_default(), _embedding(embedding):
            graph = mtf.Graph()
            mesh = mtf.Mesh(graph, "benchmark")
            loss = _loss(mesh, _model(make_layer, size, dropout), size, packed)
            variables = graph.trainable_variables
            grads = mtf.gradients([loss], [v.outputs[0] for v in variables])
            optimizer = mtf.optimize.AdafactorOptimizer(learning_rate=1e-3)
            updates = optimizer.apply_grads(grads, variables)
            lowering = mtf.Lowering(
                graph,
                {mesh: mtf.placement_mesh_impl.PlacementMeshImpl("", "", ["cpu:0"])},
            )
            self._loss = lowering.export_to_tf_tensor(loss)
            self._step = tf.group([lowering.lowered_operation(u) for u in updates])
            self.parameters = sum(v.shape.size for v in variables)
            self._session = tf.Session(config=config)
            self._session.run(tf.global_variables_initializer())
            self._session.run(lowering.copy_masters_to_slices())

    def run(self) -> float:
        """One training step; returns its loss."""
        return self._session.run([self._loss, self._step])[0]


@contextlib.contextmanager
def _embedding(cls: type[transformer.VocabEmbedding]) -> Iterator[None]:
    """Models made inside have this embedding: gin alone can tell Mesh."""
    with gin.unlock_config():
        gin.bind_parameter("get_vocab_embedding_cls.cls", cls)
        try:
            yield
        finally:
            gin.bind_parameter("get_vocab_embedding_cls.cls", transformer.VocabEmbedding)


def _model(make_layer: MakeLayer, size: Size, dropout: float) -> transformer.Bitransformer:
    def attention() -> transformer.TransformerLayer:
        return make_layer(size, dropout)

    def feed_forward() -> transformer.TransformerLayer:
        return transformer_layers.DenseReluDense(hidden_size=size.d_ff, dropout_rate=dropout)

    def cross() -> transformer.TransformerLayer:
        return transformer_layers.EncDecAttention(
            num_heads=size.num_heads, key_value_size=size.d_kv, dropout_rate=dropout
        )

    encoder_block = (attention, feed_forward)
    decoder_block = (attention, cross, feed_forward)
    encoder = [make() for _ in range(size.num_layers) for make in encoder_block]
    decoder = [make() for _ in range(size.num_layers) for make in decoder_block]
    return transformer.Bitransformer(
        _unitransformer(size, "encoder", encoder, dropout),
        _unitransformer(size, "decoder", decoder, dropout, autoregressive=True),
    )


def _unitransformer(
    size: Size,
    name: str,
    layers: list[transformer.TransformerLayer],
    dropout: float,
    autoregressive: bool = False,
) -> transformer.Unitransformer:
    for number, layer in enumerate(layers):
        layer.set_name(f"layer_{number:03d}")
    drop = functools.partial(transformer.sublayer_dropout, dropout_rate=dropout)
    stack = transformer.LayerStack(
        layers,
        sublayers_initial=[drop],
        sublayers_per_layer=[
            transformer.sublayer_rms_norm,
            transformer.sublayer_call_layer,
            drop,
            transformer.sublayer_residual,
        ],
        sublayers_final=[transformer.sublayer_rms_norm, drop],
    )
    return transformer.Unitransformer(
        layer_stack=stack,
        d_model=size.d_model,
        input_vocab_size=size.vocabulary,
        output_vocab_size=size.vocabulary if autoregressive else None,
        autoregressive=autoregressive,
        max_length=max(size.inputs_length, size.targets_length),
        shared_embedding_and_softmax_weights=autoregressive,
        positional_embedding=False,
        name=name,
    )


def _loss(mesh: mtf.Mesh, model: transformer.Bitransformer, size: Size, packed: int) -> mtf.Tensor:
    inputs = _tokens(mesh, size, size.inputs_length)
    targets = _tokens(mesh, size, size.targets_length)
    ids = {}
    if packed:
        ids["encoder_sequence_id"] = _sequence_ids(mesh, size, size.inputs_length, packed)
        ids["decoder_sequence_id"] = _sequence_ids(mesh, size, size.targets_length, packed)
    return model.call_simple(inputs, targets, compute_loss=True, **ids)[1]


def _tokens(mesh: mtf.Mesh, size: Size, length: int) -> mtf.Tensor:
    shape = mtf.Shape([mtf.Dimension("batch", size.batch), mtf.Dimension("length", length)])
    tokens = np.random.RandomState(length).randint(2, size.vocabulary, shape.to_integer_list)
    return mtf.import_tf_tensor(mesh, tokens.astype(np.int32), shape)


def _sequence_ids(mesh: mtf.Mesh, size: Size, length: int, packed: int) -> mtf.Tensor:
    shape = mtf.Shape([mtf.Dimension("batch", size.batch), mtf.Dimension("length", length)])
    row = 1 + np.arange(length) * packed // length
    ids = np.tile(row.astype(np.int32), [size.batch, 1])
    return mtf.import_tf_tensor(mesh, ids, shape)
