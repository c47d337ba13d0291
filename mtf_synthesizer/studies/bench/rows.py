"""The self-attention layers that the benchmark compares, by name."""

from __future__ import annotations

from collections.abc import Callable

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import transformer, transformer_layers, universal_transformer

from mtf_synthesizer.attention.banded import BandedRandom
from mtf_synthesizer.attention.controls import Toeplitz, Uniform
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import (
    Dense,
    DotProduct,
    FactorizedDense,
    FactorizedRandom,
    FixedRandom,
    Mixture,
    QueryProjection,
    Random,
    Sum,
)
from mtf_synthesizer.baselines.convolutions import DynamicConv, LightConv
from mtf_synthesizer.baselines.linformer import Linformer
from mtf_synthesizer.baselines.mixer import TokenMixing
from mtf_synthesizer.baselines.raganato import FixedPatterns
from mtf_synthesizer.studies.bench.setting import STOCK, Size

# Builds a layer from a size and a dropout rate.
MakeLayer = Callable[[Size, float], transformer.TransformerLayer]


class ValuesOnly(transformer_layers.SelfAttention):
    """Values and output projection with no mixing of positions: the limit of any synthesizer."""

    further_heads = 0  # `make_params` reads it: heads of further groups, as in `Heads`

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """W_O W_V x."""
        params = SyntheticAttention.make_params(self, context)
        return params.compute_output(params.compute_v(x), output_shape=x.shape)


class InEncoders(transformer.TransformerLayer):
    """A layer that can't decode, used in the encoder, and another layer for the decoder."""

    def __init__(self, layer: transformer.TransformerLayer, other: transformer.TransformerLayer):
        self._layer, self._other = layer, other

    def call(
        self, context: transformer.Context, x: mtf.Tensor, losses: list[mtf.Tensor] | None = None
    ) -> mtf.Tensor:
        """The output of the stack's layer."""
        layer = self._other if context.model.autoregressive else self._layer
        return layer.call(context, x, losses)


def layers() -> dict[str, MakeLayer]:
    """Layers by row name: `t5` and `mesh-*` are public layers, the others are ours.

    Relative position biases follow the gin files: T5's layer has a bias, and ours has one unless
    the function is a table. Tables are as long as the inputs in both stacks, as in the gin files.
    Tables of `mesh-*` have 512 rows, which the public layer can't change. Convolutions have width
    9; the public convolutions are causal in both stacks. The decoder of `linformer` and `raganato`
    is T5's. `stock` and `universal` have T5's layer too; what differs is the program and the stack.
    """

    def ours(
        bias: str | None, function: Callable[[int], SynthesizingFunction | Heads]
    ) -> MakeLayer:
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

    def mixer(size: Size, dropout: float) -> transformer.TransformerLayer:
        return TokenMixing(
            max(size.inputs_length, size.targets_length),
            num_heads=size.num_heads,
            key_value_size=size.d_kv,
            dropout_rate=dropout,
        )

    def raganato(size: Size, dropout: float) -> transformer.TransformerLayer:
        layer = SyntheticAttention(
            FixedPatterns(), num_heads=8, key_value_size=size.d_kv, dropout_rate=dropout
        )
        t5 = public(transformer_layers.SelfAttention, relative_attention_type=shared)
        return InEncoders(layer, t5(size, dropout))

    shared = "bias_shared"
    makers = {
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
        "mixer": mixer,
        "universal": public(transformer_layers.SelfAttention, relative_attention_type=shared),
        "raganato": raganato,
        "v": ours(shared, lambda n: DotProduct()),
        "r": ours(None, lambda n: Random(n)),
        "fix": ours(None, lambda n: FixedRandom(n)),
        "fr": ours(None, lambda n: FactorizedRandom(n)),
        "d": ours(shared, lambda n: Dense(n)),
        "fd": ours(shared, lambda n: FactorizedDense(n)),
        "banded": ours(None, lambda n: BandedRandom(n)),
        "toeplitz": ours(None, lambda n: Toeplitz(n)),
        "uniform": ours(None, lambda n: Uniform()),
        "bias": ours(shared, lambda n: Uniform()),
        "rv": ours(shared, lambda n: Mixture([Random(n), DotProduct()])),
        "dv": ours(shared, lambda n: Mixture([Dense(n), DotProduct()])),
        "frv": ours(shared, lambda n: Mixture([FactorizedRandom(n), DotProduct()])),
        "frd": ours(shared, lambda n: Mixture([FactorizedRandom(n), Dense(n)])),
        "rd": ours(shared, lambda n: Mixture([Random(n), Dense(n)])),
        "rdv": ours(shared, lambda n: Mixture([Random(n), Dense(n), DotProduct()])),
        "r_plus_v": ours(shared, lambda n: Sum([Random(n), DotProduct()])),
        "d_plus_v": ours(
            shared,
            lambda n: Sum([Dense(n, QueryProjection(), shared_heads=True), DotProduct()]),
        ),
        "heads_rv": ours(shared, lambda n: Heads([Random(n), DotProduct()])),
    }
    return {stock: makers[row] for stock, row in STOCK.items()} | makers


def recurrent(
    layers: list[transformer.TransformerLayer], dropout: float, steps: int = 24
) -> universal_transformer.UTLayerStack:
    """One block of layers, applied as in gin/baselines/universal.gin: at most steps + 1 times."""
    return universal_transformer.UTLayerStack(
        layers,
        dropout_rate=dropout,
        act_type="basic",
        recurrence_type="act",
        act_max_steps=steps,
        act_epsilon=0.5,
        num_rec_steps=steps,
        num_inrecurrence_layers=1,
        position_start_index=None,
        add_or_concat_timing_signal="add",
        step_timing_signal_type="learned",
        add_position_timing_signal=False,
        add_step_timing_signal=True,
        mix_with_transformer_before_ut=False,
        mix_with_transformer_after_ut=False,
        gates_inputs=None,
        gate_ffn_layer=None,
        use_gated_transformer=False,
        gating_type=None,
    )
