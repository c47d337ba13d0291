"""The encoder-decoder around a row's self-attention, and the computation of each mode."""

from __future__ import annotations

import contextlib
import functools
import re
from collections import Counter
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
from mtf_synthesizer.mesh.token_loss import token_cross_entropy
from mtf_synthesizer.studies.bench import machine
from mtf_synthesizer.studies.bench.rows import MakeLayer, layers, recurrent
from mtf_synthesizer.studies.bench.setting import BEAMS, STEP, STOCK, Setting, Size
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch
from mtf_synthesizer.upstream.graph import Model

_KIND = re.compile(r" = (\w+)\(")  # in the label of a traced operation: name = Kind(inputs)
# Builds a stack from its layers and a dropout rate.
MakeStack: TypeAlias = "Callable[[list[transformer.TransformerLayer], float], Any]"
_STACKS: dict[str, MakeStack] = {"universal": recurrent}

# Part of a step -> its results; each part includes the results of the parts before it.
Parts: TypeAlias = "dict[str, list[mtf.Tensor | mtf.Operation]]"


class Program:
    """A small T5 with the given self-attention, in a session that runs steps of one mode.

    Args:
      make_layer: makes a self-attention layer.
      setting: shape, mode and options.
      make_stack: makes a stack of layers, given these and the dropout; Mesh's unless given.

    Attributes:
      parameters: number of trainable parameters.
      cache_bytes: bytes that the decoder's self-attention layers keep while the batch is decoded,
        once all tokens are decoded; 0 in modes that don't decode.
    """

    def __init__(
        self, make_layer: MakeLayer, setting: Setting, make_stack: MakeStack | None = None
    ):
        remembered: list[mtf.Tensor] = []
        with tf.Graph().as_default(), _bound(_bindings(setting)):
            mesh = mtf.Mesh(mtf.Graph(), "benchmark")
            model = build(make_layer, setting, remembered, make_stack)
            parts = _MODES[setting.mode](mesh, model, setting)
            self.parameters = sum(v.shape.size for v in mesh.graph.trainable_variables)
            self.cache_bytes = sum(state.shape.size * state.dtype.size for state in remembered)
            # Mesh's default device, as in `train` and in T5: one copy of each variable.
            placement = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
            lowering = mtf.Lowering(mesh.graph, {mesh: placement})
            self._fetches = {name: _fetches(lowering, part) for name, part in parts.items()}
            self._session = machine.session(setting.threads)
            self._session.run(tf.global_variables_initializer())
            self._session.run(lowering.copy_masters_to_slices())

    @classmethod
    def of_row(cls, row: str, setting: Setting) -> Program:
        """The program of a row: T5's and Mesh's own functions for `stock`, else ours too."""
        if row not in STOCK:
            _install_ours()
        return cls(layers()[row], setting, _STACKS.get(row))

    def run(self, part: str = STEP) -> Any:
        """Run one step, or a part of a step; return its loss, or the decoded tokens."""
        return self._session.run(self._fetches[part])[0]

    def operations(self) -> dict[str, float]:
        """Trace one step; return type of operation -> milliseconds, the longest first.

        Operations may overlap, so the sum may exceed the time of the step.
        """
        trace = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        metadata = tf.RunMetadata()
        self._session.run(self._fetches[STEP], options=trace, run_metadata=metadata)
        total: Counter[str] = Counter()
        for device in metadata.step_stats.dev_stats:
            for node in device.node_stats:
                kind = _KIND.search(node.timeline_label)
                if kind:
                    total[kind[1]] += node.op_end_rel_micros - node.op_start_rel_micros
        return {kind: round(micros / 1e3, 1) for kind, micros in total.most_common()}

    def close(self) -> None:
        """Free the variables."""
        self._session.close()


def _install_ours() -> None:
    """Install what gin chooses; importing the module already changes Mesh's products and ReLU."""
    from mtf_synthesizer.upstream import fast

    fast.install()


def flops(row: str, setting: Setting) -> int | None:
    """FLOPs of a step, counted as the command `cost` counts; None for decoding (not counted)."""
    if setting.mode not in _FLOPS:
        return None
    size = setting.size
    lengths = (size.inputs_length, size.targets_length)[: 1 if setting.encoder_only else 2]
    batch = Batch(size.batch, lengths, bool(setting.packed))
    model = build(layers()[row], setting, [], _STACKS.get(row))
    counted = graph.of_model(model, batch)
    return _FLOPS[setting.mode](sum(counted.values(), Cost()))


_FLOPS: dict[str, Callable[[Cost], int]] = {
    "train": lambda cost: cost.training_flops,
    "evaluate": lambda cost: cost.forward_flops,
}


def _fetches(lowering: mtf.Lowering, part: Sequence[mtf.Tensor | mtf.Operation]) -> list[Any]:
    """Fetches of a session: the first as an array; the others are computed but not copied."""
    first, *others = part
    return [
        lowering.export_to_tf_tensor(first),
        [_operation(lowering, fetched) for fetched in others],
    ]


def _operation(lowering: mtf.Lowering, result: mtf.Tensor | mtf.Operation) -> tf.Operation:
    # Behind a tf.group TensorFlow prunes operations without effect, so each is fetched separately.
    if isinstance(result, mtf.Operation):
        return lowering.lowered_operation(result)
    return lowering.export_to_tf_tensor(result).op


def _bindings(setting: Setting) -> dict[str, tuple[Any, Any]]:
    """Parameters of Mesh that only gin can set: parameter -> (value, Mesh's default)."""
    bindings: dict[str, tuple[Any, Any]] = {
        # Every row decodes the same number of tokens: none ends before the targets' length.
        "Unitransformer.sample_autoregressive.never_end": (True, False),
        "mesh_tensorflow.beam_search.beam_search.stop_early": (False, True),
    }
    if setting.gathered:
        own = transformer.VocabEmbedding
        bindings["get_vocab_embedding_cls.cls"] = (GatheredEmbedding, own)
    if setting.token_loss:
        bindings["transformer.Unitransformer.loss_fn"] = (token_cross_entropy, None)
    if setting.fast:
        bindings |= {
            "attention_core.function": (dot_product.ordered_attention, dot_product.MESH_ATTENTION),
            "rms_norm_core.function": (rms_norm, None),
            "adafactor_core.function": (adafactor_update, None),
        }
    return bindings


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


def _training(mesh: mtf.Mesh, model: Model, setting: Setting) -> Parts:
    """Forward, backward and Adafactor."""
    loss = _loss(mesh, model, setting, "train")
    variables = mesh.graph.trainable_variables
    gradients = mtf.gradients([loss], [v.outputs[0] for v in variables])
    optimizer = mtf.optimize.AdafactorOptimizer(learning_rate=1e-3)
    updates = optimizer.apply_grads(gradients, variables)
    backward = [gradient for gradient in gradients if gradient is not None]
    return {"forward": [loss], "backward": [loss, *backward], STEP: [loss, *updates]}


def _evaluation(mesh: mtf.Mesh, model: Model, setting: Setting) -> Parts:
    return {STEP: [_loss(mesh, model, setting, "eval")]}


def _decoding(mesh: mtf.Mesh, model: Model, setting: Setting, beams: int) -> Parts:
    tokens = model.decode(
        _tokens(mesh, setting.size, setting.size.inputs_length),
        beam_size=beams,
        decode_length_multiplier=0.0,
        decode_length_constant=setting.size.targets_length,
        max_decode_length=setting.size.targets_length,
    )
    return {STEP: [tokens]}


_MODES: dict[str, Callable[[mtf.Mesh, Model, Setting], Parts]] = {
    "train": _training,
    "evaluate": _evaluation,
    "greedy": functools.partial(_decoding, beams=1),
    "beam": functools.partial(_decoding, beams=BEAMS),
}


def _loss(mesh: mtf.Mesh, model: Model, setting: Setting, mode: str) -> mtf.Tensor:
    size, ids = setting.size, {}
    stacks = {"encoder_": size.inputs_length, "decoder_": size.targets_length}
    if setting.encoder_only:
        stacks = {"": size.inputs_length}
    if setting.packed:
        ids = {
            f"{stack}sequence_id": _sequence_ids(mesh, setting, length)
            for stack, length in stacks.items()
        }
    inputs = _tokens(mesh, size, size.inputs_length)
    targets = _tokens(mesh, size, [*stacks.values()][-1])
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
    make_layer: MakeLayer,
    setting: Setting,
    remembered: list[mtf.Tensor],
    make_stack: MakeStack | None = None,
) -> Model:
    """A T5 of the setting's shape.

    Args:
      make_layer: makes a self-attention layer.
      setting: shape and dropout.
      remembered: filled, when the model decodes, with the states that its self-attention layers
        keep from token to token.
      make_stack: makes a stack of one block, given its layers and the dropout.
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
        blocks = 1 if make_stack else size.num_layers
        layers = [make() for _ in range(blocks) for make in makers]
        for number, layer in enumerate(layers):
            layer.set_name(f"layer_{number:03d}")
        layer_stack = (
            make_stack(layers, dropout) if make_stack else _stack(layers, dropout, remembered)
        )
        return _model(name, layer_stack, setting)

    encoder = stack("encoder", attention, feed_forward)
    if setting.encoder_only:
        return encoder
    return transformer.Bitransformer(encoder, stack("decoder", attention, cross, feed_forward))


def _stack(
    layers: list[transformer.TransformerLayer], dropout: float, remembered: list[mtf.Tensor]
) -> transformer.LayerStack:
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


def _model(name: str, stack: Any, setting: Setting) -> transformer.Unitransformer:
    size, decodes = setting.size, name == "decoder"
    return transformer.Unitransformer(
        layer_stack=stack,
        d_model=size.d_model,
        input_vocab_size=size.vocabulary,
        output_vocab_size=size.vocabulary if decodes or setting.encoder_only else None,
        autoregressive=decodes,
        max_length=max(size.inputs_length, size.targets_length),
        shared_embedding_and_softmax_weights=decodes,
        positional_embedding=False,
        name=name,
        # `utils.run` passes them too: without them beam search takes another path.
        layout="",
        mesh_shape="",
    )
