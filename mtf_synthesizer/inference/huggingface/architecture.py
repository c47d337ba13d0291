"""Configuration of transformers for a model of Mesh-TensorFlow."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
from mesh_tensorflow.transformer import transformer, transformer_layers

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
_GROUP = re.compile(r"(?<=/SyntheticAttention)/heads_(\d+)/")
# T5's sublayers before, around and after the layers, without dropout.
_SUBLAYERS = {
    "_sublayers_initial": [],
    "_sublayers_per_layer": ["rms_norm", "call_layer", "residual"],
    "_sublayers_final": ["rms_norm"],
}
_ATTENTIONS = (SyntheticAttention, transformer_layers.SelfAttention)
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
    """Self-attention of the layers of one stack.

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


@dataclasses.dataclass(frozen=True)
class Exported:
    """The exported form of a model.

    Attributes:
      config: the content of config.json.
      attentions: stack -> its self-attention.
      cross_scale: `Attention.query_scale` of the cross-attention.
    """

    config: Mapping[str, Any]
    attentions: Mapping[str, Attention]
    cross_scale: float

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
        if group := _GROUP.search(variable):
            return self._of_group(variable, int(group[1]), value)
        stack, _, rest = variable.partition("/")
        if (known := huggingface.tensor(variable)) is not None:
            if variable.endswith("Attention/q"):
                value = _times(value, self._scale(stack, variable))
            if variable.endswith("/relative_attention_bias"):
                value = np.atleast_2d(value)  # Mesh has no dimension for one head
            return known.name, value.T if known.transposed else value
        layer, separator, own = rest.partition(f"/{SyntheticAttention.__name__}/")
        if separator and stack in self.attentions:
            norm = huggingface.tensor(f"{stack}/{layer}/rms_norm/scale")
            placed = self._of_function(self.attentions[stack], own, value)
            if norm is not None and placed is not None:
                module = norm.name.replace("layer_norm.weight", "SelfAttention")
                return f"{module}.{placed[0]}", placed[1]
        raise UserError(
            f"--format huggingface: T5's architecture has no tensor for {variable}. Export a "
            "SavedModel instead."
        )

    def _of_group(self, variable: str, number: int, value: np.ndarray) -> tuple[str, np.ndarray]:
        """The tensor of a variable of a group of heads, which is a self-attention of its own."""
        groups = {stack: attention.groups[number] for stack, attention in self.attentions.items()}
        alone = dataclasses.replace(self, attentions=groups)
        name, changed = alone.tensor(_GROUP.sub("/", variable), value)
        return name.replace(".SelfAttention.", f".SelfAttention.groups.{number}."), changed

    def _of_function(
        self, attention: Attention, variable: str, value: np.ndarray
    ) -> tuple[str, np.ndarray] | None:
        """Return the tensor of a variable of a synthesizing function, below the self-attention."""
        scope, _, name = variable.rpartition("/")
        if name == "q":  # of a second dot product
            value = _times(value, attention.query_scale)
        for part in attention.parts:
            if part.scope == scope:
                tensor, change = part.tensor(name, attention.spec["num_heads"] == 1)
                return tensor, change(value)
        return None

    def _scale(self, stack: str, variable: str) -> float:
        is_cross = "/EncDecAttention/" in variable
        return self.cross_scale if is_cross else self.attentions[stack].query_scale


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
    attentions = {stack.name: _attention(stack) for stack in stacks}
    cross = _cross(decoder) if len(stacks) > 1 else None
    fields = {
        "vocab_size": decoder.output_vocab_dim.size,
        "d_model": decoder.model_dim.size,
        **_feed_forward(stacks),
        "num_layers": _blocks(stacks[0]),
        "num_decoder_layers": _blocks(decoder),
        "layer_norm_epsilon": epsilon,
    }
    own_head = not decoder.shared_embedding_and_softmax_weights
    specs = [attentions[stack.name].spec for stack in stacks]
    heads = _heads(cross) if cross is not None else None
    if heads is not None and all(spec == _as_t5(spec, heads) for spec in specs):
        config = _t5(fields, specs[0], own_head)
    else:
        config = _synthesizer(fields, specs, heads, own_head)
    return Exported(config, attentions, _query_scale(cross) if cross is not None else 1.0)


def _as_t5(spec: Spec, heads: Spec) -> Spec:
    """Return T5's self-attention for a cross-attention with these heads."""
    return {
        **heads,
        "synthesizer": functions.DOT_PRODUCT,
        "relative_attention": "bias_shared",
        "num_buckets": spec["num_buckets"],
    }


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
    fields: Mapping[str, Any], specs: list[Spec], heads: Spec | None, own_head: bool
) -> dict[str, Any]:
    has_encoder = heads is not None
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
        "encoder_attention": specs[0] if has_encoder else None,
        "decoder_attention": specs[-1],
        "cross_attention": heads,
        "has_own_head": own_head,
        **_TOKENS,
    }


_TOKENS = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}


def _attention(stack: transformer.Unitransformer) -> Attention:
    described = [
        _described(layer) for layer in stack.layer_stack.layers if type(layer) in _ATTENTIONS
    ]
    if not described or any(attention.spec != described[0].spec for attention in described):
        raise _refused(stack, "its blocks have different self-attentions")
    return described[0]


def _described(layer: Any) -> Attention:
    _check_plain(layer)
    relative = layer.relative_attention_type
    if relative not in (None, "bias", "bias_shared"):
        raise UserError(
            f"--format huggingface: relative_attention_type {relative!r} is not in the modelling "
            "file. Choose 'bias' or 'bias_shared'."
        )
    spec = functions.DOT_PRODUCT
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


def _cross(decoder: transformer.Unitransformer) -> Any:
    kind = transformer_layers.EncDecAttention
    layers = [layer for layer in decoder.layer_stack.layers if type(layer) is kind]
    if not layers:
        raise _refused(decoder, "T5's attention over the encoder is missing")
    _check_plain(layers[0])
    if layers[0].relative_attention_type is not None:
        raise _refused(decoder, "its attention over the encoder has a relative bias")
    return layers[0]


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


def _blocks(stack: transformer.Unitransformer) -> int:
    return sum(type(layer) in _ATTENTIONS for layer in stack.layer_stack.layers)


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
    kinds = [type(layer) for layer in layers]
    has_cross = transformer_layers.EncDecAttention in kinds
    cross = [transformer_layers.EncDecAttention] if has_cross else []
    block = [*kinds[:1], *cross, transformer_layers.DenseReluDense]
    return kinds == block * (len(kinds) // len(block))


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
