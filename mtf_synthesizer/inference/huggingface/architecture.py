"""Configuration of transformers for a model of Mesh-TensorFlow."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention.cross import SyntheticEncDecAttention
from mtf_synthesizer.attention.heads import Heads
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.inference.huggingface import functions
from mtf_synthesizer.inference.huggingface.functions import FunctionPlace, Spec
from mtf_synthesizer.upstream import graph, huggingface

T5 = "T5ForConditionalGeneration"
MODELLING_FILE = "modeling_synthesizer.py"
_ENCODER_DECODER = "SynthesizerForConditionalGeneration"
_DECODER = "SynthesizerForCausalLM"
_MODULE = MODELLING_FILE.removesuffix(".py")
_GATED = ["gelu", "linear"]
_VARIABLE = re.compile(
    r"(?P<stack>\w+)/block_(?P<block>\d+)/layer_(?P<layer>\d+)"
    r"/(?:Self|Synthetic|(?P<cross>(?:Synthetic)?EncDec))Attention"
    r"/(?:heads_(?P<group>\d+)/)?(?P<own>.+)"
)
# T5's sublayers before, around and after the layers, without dropout.
_SUBLAYERS = {
    "_sublayers_initial": [],
    "_sublayers_per_layer": ["rms_norm", "call_layer", "residual"],
    "_sublayers_final": ["rms_norm"],
}
_SELF = (SyntheticAttention, transformer_layers.SelfAttention)
_CROSS = (SyntheticEncDecAttention, transformer_layers.EncDecAttention)
# Parameter of an attention layer -> the only value that transformers supports.
_PLAIN: Mapping[str, Any] = {
    "num_memory_heads": 0,
    "shared_kv": False,
    "combine_dims": True,
    "keep_query_heads_dims": False,
    "attention_kwargs": {},
    "attention_func": None,
    "use_hyperprompt": False,
    "hyperprompt_length_encoder": None,
    "hyperprompt_length_decoder": None,
    "extra_logit": None,
}


@dataclasses.dataclass(frozen=True)
class Attention:
    """Attention of one layer.

    Attributes:
      spec: description of the attention for modeling_synthesizer.py.
      parts: places of the variables of its functions.
      query_scale: factor of W_Q, if the layer scales the query and not the initializer.
      groups: attention of each group of heads, if these have functions of their own.
    """

    spec: Spec
    parts: tuple[FunctionPlace, ...]
    query_scale: float
    groups: tuple[Attention, ...] = ()

    def tensor(self, variable: str, value: np.ndarray) -> tuple[str, np.ndarray] | None:
        """Return the tensor of a variable below the layer's scope; None for an unknown one."""
        scope, _, name = variable.rpartition("/")
        if name == "q":
            value = _times(value, self.query_scale)
        if not scope and name in ("q", "k", "v", "o"):
            return f"{name}.weight", value.T
        if not scope and name == "relative_attention_bias":
            # Mesh has no dimension for one head.
            return f"{name}.weight", np.atleast_2d(value).T
        for part in self.parts:
            if part.scope == scope:
                tensor, change = part.tensor(name, self.spec["num_heads"] == 1)
                return tensor, change(value)
        return None


@dataclasses.dataclass(frozen=True)
class Exported:
    """The exported form of a model.

    Attributes:
      config: the content of config.json.
      attentions: stack -> the self-attention of each block.
      cross: the cross-attention of each block of the decoder; empty without an encoder.
    """

    config: Mapping[str, Any]
    attentions: Mapping[str, Sequence[Attention]]
    cross: Sequence[Attention]

    @property
    def tokens(self) -> Mapping[str, int]:
        """Ids of special tokens for generation_config.json."""
        if self.config["is_encoder_decoder"]:
            return _TOKENS
        # A text begins with 0, which transformers would take for padding; so padding is EOS.
        return {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}

    @property
    def is_t5(self) -> bool:
        return self.config["architectures"] == [T5]

    def tensor(self, variable: str, value: np.ndarray) -> tuple[str, np.ndarray]:
        """Return the name and value of the tensor that holds a variable of the model.

        Raises:
          UserError: neither transformers nor the modelling file has such a tensor.
        """
        if (place := _VARIABLE.fullmatch(variable)) is not None:
            attention, module = self._of_layer(place)
            if (tensor := attention.tensor(place["own"], value)) is not None:
                return f"{module}.{tensor[0]}", tensor[1]
        elif (known := huggingface.tensor(variable)) is not None:
            return known.name, value.T if known.transposed else value
        raise UserError(
            f"--format huggingface: T5's architecture has no tensor for {variable}. Export a "
            "SavedModel instead."
        )

    def _of_layer(self, place: re.Match[str]) -> tuple[Attention, str]:
        """Return the attention with a variable, and the name of its PyTorch module."""
        block, layer = int(place["block"]), int(place["layer"])
        attentions = self.cross if place["cross"] else self.attentions[place["stack"]]
        stack = "encoder" if place["stack"] == "encoder" else "decoder"
        kind = "EncDecAttention" if place["cross"] else "SelfAttention"
        module = f"{stack}.block.{block}.layer.{layer}.{kind}"
        if place["group"] is None:
            return attentions[block], module
        group = int(place["group"])
        return attentions[block].groups[group], f"{module}.groups.{group}"


def _times(value: np.ndarray, factor: float) -> np.ndarray:
    return value * np.asarray(factor, value.dtype)


def describe(model: graph.Model, epsilon: float) -> Exported:
    """Describe a model.

    Args:
      model: an encoder-decoder or a decoder.
      epsilon: epsilon of the norms, which gin binds outside of the model.

    Raises:
      UserError: the model has a layer or setting that neither transformers nor the modelling file
        has.
    """
    stacks = list(graph.stacks(model))
    decoder = stacks[-1]
    for stack in stacks:
        _check(stack)
    attentions = {stack.name: _attentions(stack, _SELF) for stack in stacks}
    cross = _cross(decoder) if len(stacks) > 1 else []
    fields = {
        "vocab_size": decoder.output_vocab_dim.size,
        "d_model": decoder.model_dim.size,
        **_feed_forward(stacks),
        "num_layers": len(attentions[stacks[0].name]),
        "num_decoder_layers": len(attentions[decoder.name]),
        "layer_norm_epsilon": epsilon,
    }
    own_head = not decoder.shared_embedding_and_softmax_weights
    specs = [[attention.spec for attention in attentions[stack.name]] for stack in stacks]
    cross_specs = [_as_cross(attention.spec) for attention in cross]
    if _is_t5(specs, cross_specs):
        config = _t5(fields, specs[0][0], own_head)
    else:
        config = _synthesizer(fields, specs, cross_specs, own_head)
    return Exported(config, attentions, cross)


def _as_cross(spec: Spec) -> Spec:
    """Describe cross-attention, which has no relative bias and is T5's by default."""
    heads = {name: spec[name] for name in ("num_heads", "d_kv")}
    if spec["synthesizer"] == functions.DOT_PRODUCT:
        return heads
    return {**heads, "synthesizer": spec["synthesizer"]}


def _is_t5(specs: Sequence[Sequence[Spec]], cross: Sequence[Spec]) -> bool:
    """Return whether all attention is T5's, with the same heads everywhere."""
    if not cross:
        return False
    first = specs[0][0]
    t5 = {
        "num_heads": first["num_heads"],
        "d_kv": first["d_kv"],
        "synthesizer": functions.DOT_PRODUCT,
        "relative_attention": "bias_shared",
        "num_buckets": first["num_buckets"],
    }
    own = all(spec == t5 for stack in specs for spec in stack)
    return own and all(spec == _as_cross(t5) for spec in cross)


def _t5(fields: Mapping[str, Any], spec: Spec, own_head: bool) -> dict[str, Any]:
    return {
        "architectures": [T5],
        "model_type": "t5",
        "is_encoder_decoder": True,
        **fields,
        "d_kv": spec["d_kv"],
        "num_heads": spec["num_heads"],
        "relative_attention_num_buckets": spec["num_buckets"],
        "relative_attention_max_distance": 128,
        "tie_word_embeddings": not own_head,
        **_TOKENS,
    }


def _synthesizer(
    fields: Mapping[str, Any], specs: list[list[Spec]], cross: list[Spec], own_head: bool
) -> dict[str, Any]:
    has_encoder = bool(cross)
    name = _ENCODER_DECODER if has_encoder else _DECODER
    auto = "AutoModelForSeq2SeqLM" if has_encoder else "AutoModelForCausalLM"
    return {
        "architectures": [name],
        "auto_map": {
            "AutoConfig": f"{_MODULE}.SynthesizerConfig",
            auto: f"{_MODULE}.{name}",
        },
        "model_type": "mtf_synthesizer",
        "is_encoder_decoder": has_encoder,
        **fields,
        "encoder_attention": _once(specs[0]) if has_encoder else None,
        "decoder_attention": _once(specs[-1]),
        "cross_attention": _once(cross) if has_encoder else None,
        "has_own_head": own_head,
        **_TOKENS,
    }


_TOKENS = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}


def _once(specs: list[Spec]) -> Spec | list[Spec]:
    """Return the description that all blocks share, else one description for each block."""
    return specs[0] if all(spec == specs[0] for spec in specs) else specs


def _attentions(stack: transformer.Unitransformer, kinds: tuple[type, ...]) -> list[Attention]:
    layers = stack.layer_stack.layers
    return [_described(layer) for layer in layers if type(layer) in kinds]


def _described(layer: Any) -> Attention:
    _check_plain(layer)
    relative = layer.relative_attention_type
    if relative not in (None, "bias", "bias_shared"):
        raise UserError(
            f"--format huggingface: relative_attention_type {relative!r} is not in the modelling "
            "file. Choose 'bias' or 'bias_shared'."
        )
    spec: Spec = functions.DOT_PRODUCT
    parts: list[FunctionPlace] = []
    groups: tuple[Attention, ...] = ()
    synthesizer = layer.synthesizer if isinstance(layer, SyntheticAttention) else None
    if isinstance(synthesizer, Heads):
        groups = tuple(map(_described, layer.groups))
        spec = {
            "kind": "heads",
            "sizes": [group.spec["num_heads"] for group in groups],
            "functions": [group.spec["synthesizer"] for group in groups],
        }
    elif synthesizer is not None:
        spec, parts = functions.describe(synthesizer)
    described = {
        **_heads(layer),
        "synthesizer": spec,
        "relative_attention": relative,
        "num_buckets": layer.relative_attention_num_buckets,
    }
    return Attention(described, tuple(parts), _query_scale(layer), groups)


def _heads(layer: Any) -> Spec:
    return {"num_heads": layer.num_heads, "d_kv": layer.kv_dim.size}


def _query_scale(layer: Any) -> float:
    return 1.0 if layer.fold_scaling_into_initializer else float(layer.kv_dim.size) ** -0.5


def _cross(decoder: transformer.Unitransformer) -> list[Attention]:
    attentions = _attentions(decoder, _CROSS)
    if not attentions:
        raise _refused(decoder, "T5's attention over the encoder is missing")
    if any(attention.spec["relative_attention"] for attention in attentions):
        raise _refused(decoder, "its attention over the encoder has a relative bias")
    return attentions


def _check_plain(layer: Any) -> None:
    for name, value in _PLAIN.items():
        if getattr(layer, name, value) != value:
            raise UserError(
                f"--format huggingface: {type(layer).__name__}.{name} is "
                f"{getattr(layer, name)!r}; transformers and the modelling file have only "
                f"{value!r}. Export a SavedModel instead."
            )


def _feed_forward(stacks: list[transformer.Unitransformer]) -> dict[str, Any]:
    settings = [
        (layer.hidden_size, layer.activation, layer.use_bias, layer.dropout_rate)
        for stack in stacks
        for layer in stack.layer_stack.layers
        if type(layer) is transformer_layers.DenseReluDense
    ]
    size, activation, use_bias, dropout = settings[0]
    if (
        any(setting != settings[0] for setting in settings)
        or activation not in ("relu", _GATED)
        or use_bias
    ):
        raise _refused(
            stacks[0],
            'its feed-forward layers are not all "relu" or all ["gelu", "linear"]',
        )
    return {
        "d_ff": size,
        "feed_forward_proj": "gated-gelu" if activation == _GATED else "relu",
        "dropout_rate": dropout,
    }


def _check(stack: transformer.Unitransformer) -> None:
    """Raise a UserError if layers or sublayers of a stack differ from T5's."""
    layers = stack.layer_stack
    if type(layers) is not transformer.LayerStack or not _is_in_order(layers.layers):
        raise _refused(stack, "its layers differ from T5's, or their order does")
    for name, expected in _SUBLAYERS.items():
        if _named(getattr(layers, name)) != expected:
            raise _refused(stack, f"{name.strip('_')} differ from T5's")
    differing = {
        "positional_embedding": stack.positional_embedding,
        "input_full_attention": stack.input_full_attention,
        "ensemble": stack.ensemble_dim,
    }
    for name, value in differing.items():
        if value:
            raise _refused(stack, f"Unitransformer.{name} is {value}")


def _is_in_order(layers: Sequence[Any]) -> bool:
    """Return whether layers repeat self-attention, optional cross-attention, feed-forward."""
    places = [_SELF, _CROSS, (transformer_layers.DenseReluDense,)]
    if not any(type(layer) in _CROSS for layer in layers):
        places.remove(_CROSS)
    blocks, rest = divmod(len(layers), len(places))
    in_place = zip(layers, places * blocks, strict=False)
    return blocks > 0 and not rest and all(type(layer) in kinds for layer, kinds in in_place)


def _named(sublayers: Sequence[Any]) -> list[str]:
    """Return current names of sublayers, also for T5's first releases, without dropout."""
    names = [sublayer.__name__.removeprefix("sublayer_") for sublayer in sublayers]
    plain = [name.removeprefix("legacy_").removeprefix("final_") for name in names]
    return [name for name in plain if "dropout" not in name]


def _refused(stack: transformer.Unitransformer, reason: str) -> UserError:
    return UserError(
        f"--format huggingface: {stack.name}: {reason}. Export a SavedModel instead; transformers "
        "gets T5's architecture with any synthesizing function only."
    )
