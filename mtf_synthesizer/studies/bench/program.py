"""The encoder-decoder around a row's self-attention, and the computation of each mode."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention.cost import Cost
from mtf_synthesizer.mesh import dot_product
from mtf_synthesizer.mesh.adafactor import adafactor_update
from mtf_synthesizer.mesh.embedding import GatheredEmbedding
from mtf_synthesizer.mesh.norm import rms_norm
from mtf_synthesizer.studies.bench import machine
from mtf_synthesizer.studies.bench.rows import MakeLayer
from mtf_synthesizer.studies.bench.setting import BEAMS, Setting, Size
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch
from mtf_synthesizer.upstream import fast

STEP = "step"  # the part that is a whole step of the mode

# Part of a step -> its results; each part includes the results of the parts before it.
Parts: TypeAlias = "dict[str, list[mtf.Tensor | mtf.Operation]]"


class Program:
    """A small T5 with the given self-attention, in a session that runs steps of one mode.

    Args:
      make_layer: makes a self-attention layer.
      setting: shape, mode and options.

    Attributes:
      parameters: number of trainable parameters.
      cache_bytes: bytes that the decoder's self-attention layers keep while the batch is decoded,
        once all tokens are decoded; 0 in modes that don't decode.
    """

    def __init__(self, make_layer: MakeLayer, setting: Setting):
        remembered: list[mtf.Tensor] = []
        fast.install()
        with tf.Graph().as_default(), _bound(_bindings(setting)):
            mesh = mtf.Mesh(mtf.Graph(), "benchmark")
            model = build(make_layer, setting, remembered)
            parts = _MODES[setting.mode](mesh, model, setting)
            self.parameters = sum(v.shape.size for v in mesh.graph.trainable_variables)
            self.cache_bytes = sum(state.shape.size * state.dtype.size for state in remembered)
            placement = mtf.placement_mesh_impl.PlacementMeshImpl("", "", ["cpu:0"])
            lowering = mtf.Lowering(mesh.graph, {mesh: placement})
            self._fetches = {name: _fetches(lowering, part) for name, part in parts.items()}
            self._session = machine.session(setting.threads)
            self._session.run(tf.global_variables_initializer())
            self._session.run(lowering.copy_masters_to_slices())

    def run(self, part: str = STEP) -> Any:
        """Run one step, or a part of a step; return its loss, or the decoded tokens."""
        return self._session.run(self._fetches[part])[0]

    def close(self) -> None:
        """Free the variables."""
        self._session.close()


def flops(make_layer: MakeLayer, setting: Setting) -> int | None:
    """FLOPs of a step, counted as the command `cost` counts; None for decoding (not counted)."""
    if setting.mode not in _FLOPS:
        return None
    lengths = (setting.size.inputs_length, setting.size.targets_length)
    batch = Batch(setting.size.batch, lengths, bool(setting.packed))
    counted = graph.of_model(build(make_layer, setting, []), batch)
    return _FLOPS[setting.mode](sum(counted.values(), Cost()))


_FLOPS: dict[str, Callable[[Cost], int]] = {
    "train": lambda cost: cost.training_flops,
    "evaluate": lambda cost: cost.forward_flops,
}


def _fetches(lowering: mtf.Lowering, part: Sequence[mtf.Tensor | mtf.Operation]) -> list[Any]:
    """Fetches of a session: the first as an array; the others are computed but not copied."""
    first, *others = part
    return [lowering.export_to_tf_tensor(first), [_operation(lowering, each) for each in others]]


def _operation(lowering: mtf.Lowering, result: mtf.Tensor | mtf.Operation) -> tf.Operation:
    # Behind a tf.group TensorFlow prunes operations without effect, so each is fetched separately.
    if isinstance(result, mtf.Operation):
        return lowering.lowered_operation(result)
    return lowering.export_to_tf_tensor(result).op


def _bindings(setting: Setting) -> dict[str, tuple[Any, Any]]:
    """Parameters of Mesh that only gin can set: parameter -> (value, Mesh's default)."""
    own = transformer.VocabEmbedding
    return {
        "get_vocab_embedding_cls.cls": (GatheredEmbedding if setting.gathered else own, own),
        "attention_core.function": (
            dot_product.ordered_attention if setting.fast else dot_product.MESH_ATTENTION,
            dot_product.MESH_ATTENTION,
        ),
        "rms_norm_core.function": (rms_norm if setting.fast else None, None),
        "adafactor_core.function": (adafactor_update if setting.fast else None, None),
        # Every row decodes the same number of tokens: none ends before the targets' length.
        "Unitransformer.sample_autoregressive.never_end": (True, False),
        "mesh_tensorflow.beam_search.beam_search.stop_early": (False, True),
    }


@contextlib.contextmanager
def _bound(bindings: Mapping[str, tuple[Any, Any]]) -> Iterator[None]:
    with gin.unlock_config():
        for parameter, (value, _) in bindings.items():
            gin.bind_parameter(parameter, value)
        try:
            yield
        finally:
            for parameter, (_, default) in bindings.items():
                gin.bind_parameter(parameter, default)


def _training(mesh: mtf.Mesh, model: transformer.Bitransformer, setting: Setting) -> Parts:
    """Forward, backward and Adafactor."""
    loss = _loss(mesh, model, setting, "train")
    variables = mesh.graph.trainable_variables
    gradients = mtf.gradients([loss], [v.outputs[0] for v in variables])
    optimizer = mtf.optimize.AdafactorOptimizer(learning_rate=1e-3)
    updates = optimizer.apply_grads(gradients, variables)
    backward = [gradient for gradient in gradients if gradient is not None]
    return {"forward": [loss], "backward": [loss, *backward], STEP: [loss, *updates]}


def _evaluation(mesh: mtf.Mesh, model: transformer.Bitransformer, setting: Setting) -> Parts:
    return {STEP: [_loss(mesh, model, setting, "eval")]}


def _decoding(
    mesh: mtf.Mesh, model: transformer.Bitransformer, setting: Setting, beams: int
) -> Parts:
    tokens = model.decode(
        _tokens(mesh, setting.size, setting.size.inputs_length),
        beam_size=beams,
        decode_length_multiplier=0.0,
        decode_length_constant=setting.size.targets_length,
        max_decode_length=setting.size.targets_length,
    )
    return {STEP: [tokens]}


_MODES: dict[str, Callable[[mtf.Mesh, transformer.Bitransformer, Setting], Parts]] = {
    "train": _training,
    "evaluate": _evaluation,
    "greedy": functools.partial(_decoding, beams=1),
    "beam": functools.partial(_decoding, beams=BEAMS),
}


def _loss(
    mesh: mtf.Mesh, model: transformer.Bitransformer, setting: Setting, mode: str
) -> mtf.Tensor:
    size, ids = setting.size, {}
    if setting.packed:
        ids = {
            "encoder_sequence_id": _sequence_ids(mesh, setting, size.inputs_length),
            "decoder_sequence_id": _sequence_ids(mesh, setting, size.targets_length),
        }
    inputs = _tokens(mesh, size, size.inputs_length)
    targets = _tokens(mesh, size, size.targets_length)
    return model.call_simple(inputs, targets, compute_loss=True, mode=mode, **ids)[1]


def _tokens(mesh: mtf.Mesh, size: Size, length: int) -> mtf.Tensor:
    shape = mtf.Shape([mtf.Dimension("batch", size.batch), mtf.Dimension("length", length)])
    tokens = np.random.RandomState(length).randint(2, size.vocabulary, shape.to_integer_list)
    return mtf.import_tf_tensor(mesh, tokens.astype(np.int32), shape)


def _sequence_ids(mesh: mtf.Mesh, setting: Setting, length: int) -> mtf.Tensor:
    batch = setting.size.batch
    shape = mtf.Shape([mtf.Dimension("batch", batch), mtf.Dimension("length", length)])
    row = 1 + np.arange(length) * setting.packed // length
    return mtf.import_tf_tensor(mesh, np.tile(row.astype(np.int32), [batch, 1]), shape)


def build(
    make_layer: MakeLayer, setting: Setting, remembered: list[mtf.Tensor]
) -> transformer.Bitransformer:
    """A T5 of the setting's shape.

    Args:
      make_layer: makes a self-attention layer.
      setting: shape and dropout.
      remembered: filled, when the model decodes, with the states that its self-attention layers
        keep from token to token.
    """
    size, dropout = setting.size, setting.dropout

    def attention() -> transformer.TransformerLayer:
        return make_layer(size, dropout)

    def feed_forward() -> transformer.TransformerLayer:
        return transformer_layers.DenseReluDense(hidden_size=size.d_ff, dropout_rate=dropout)

    def cross() -> transformer.TransformerLayer:
        return transformer_layers.EncDecAttention(
            num_heads=size.num_heads, key_value_size=size.d_kv, dropout_rate=dropout
        )

    def stack(name: str, *makers: Callable[[], transformer.TransformerLayer]) -> Any:
        layers = [make() for _ in range(size.num_layers) for make in makers]
        return _stack(name, _layer_stack(layers, dropout, remembered), size)

    return transformer.Bitransformer(
        stack("encoder", attention, feed_forward),
        stack("decoder", attention, cross, feed_forward),
    )


def _layer_stack(
    layers: list[transformer.TransformerLayer], dropout: float, remembered: list[mtf.Tensor]
) -> transformer.LayerStack:
    for number, layer in enumerate(layers):
        layer.set_name(f"layer_{number:03d}")
    drop = functools.partial(transformer.sublayer_dropout, dropout_rate=dropout)

    def remember(x: mtf.Tensor, stack: object, context: transformer.Context) -> mtf.Tensor:
        if context.mode == "first_part":
            remembered.extend(context.new_states)
        return x

    return transformer.LayerStack(
        layers,
        sublayers_initial=[drop],
        sublayers_per_layer=[
            transformer.sublayer_rms_norm,
            transformer.sublayer_call_layer,
            drop,
            transformer.sublayer_residual,
        ],
        sublayers_final=[transformer.sublayer_rms_norm, drop, remember],
    )


def _stack(name: str, layers: transformer.LayerStack, size: Size) -> transformer.Unitransformer:
    decodes = name == "decoder"
    return transformer.Unitransformer(
        layer_stack=layers,
        d_model=size.d_model,
        input_vocab_size=size.vocabulary,
        output_vocab_size=size.vocabulary if decodes else None,
        autoregressive=decodes,
        max_length=max(size.inputs_length, size.targets_length),
        shared_embedding_and_softmax_weights=decodes,
        positional_embedding=False,
        name=name,
        # `utils.run` passes them too: without them beam search takes another path.
        layout="",
        mesh_shape="",
    )
