"""Reader of config.json of a T5 model from Hugging Face; it trusts nothing in the file.

Loads no TensorFlow, so that a mistake is reported at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.files import paths, records
from mtf_synthesizer.upstream import huggingface

MODEL_TYPES = ("t5", "mt5")
_FEED_FORWARD = ("relu", "gated-gelu")
_MAX_DISTANCE = 128  # largest relative distance; Mesh has only this value
_LARGEST = 1 << 24  # largest size accepted; T5's largest size is a vocabulary of 250,112
_T5_EPSILON = 1e-6
_DIVISOR = 128  # Mesh rounds vocabularies up to a multiple


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A T5 model.

    Attributes:
      d_model, d_kv, d_ff, heads, buckets, words: sizes.
      encoder_blocks, decoder_blocks: depths.
      is_gated: whether the feed-forward layers are T5 1.1's.
      scales_logits: whether the decoder's output is multiplied by d_model**-0.5 before the head.
      may_have_head: whether a separate head in the weights is used.
      dropout: dropout rate of all layers.
      epsilon: epsilon of all norms.
    """

    d_model: int
    d_kv: int
    d_ff: int
    heads: int
    buckets: int
    words: int
    encoder_blocks: int
    decoder_blocks: int
    is_gated: bool
    scales_logits: bool
    may_have_head: bool
    dropout: float
    epsilon: float

    @property
    def padded_words(self) -> int:
        """Number of rows of Mesh's embedding."""
        return -(-self.words // _DIVISOR) * _DIVISOR

    def variables(self, has_head: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every variable of Mesh's model, without vocabulary padding."""
        width, inner = self.d_model, self.heads * self.d_kv
        yield "shared/embedding", (self.words, width)
        for stack, blocks in (("encoder", self.encoder_blocks), ("decoder", self.decoder_blocks)):
            attentions = ["SelfAttention", *(["EncDecAttention"] if stack == "decoder" else [])]
            for block in range(blocks):
                for number, name in enumerate([*attentions, "DenseReluDense"]):
                    layer = f"{stack}/block_{block:03}/layer_{number:03}"
                    yield f"{layer}/rms_norm/scale", (width,)
                    if name == "DenseReluDense":
                        yield from self._feed_forward(f"{layer}/{name}")
                        continue
                    for part in "qkv":
                        yield f"{layer}/{name}/{part}", (width, inner)
                    yield f"{layer}/{name}/o", (inner, width)
                    if name == "SelfAttention" and block == 0:
                        shape = (self.heads, self.buckets)
                        yield f"{layer}/{name}/relative_attention_bias", shape
            yield f"{stack}/rms_norm/scale", (width,)
        if has_head:
            yield "decoder/logits/kernel", (width, self.words)

    def _feed_forward(self, scope: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name in ("wi_0", "wi_1") if self.is_gated else ("wi",):
            yield f"{scope}/{name}/kernel", (self.d_model, self.d_ff)
        yield f"{scope}/wo/kernel", (self.d_ff, self.d_model)

    def bindings(self, has_head: bool) -> list[str]:
        """Gin bindings that make the model of `models/bi_v1.gin` this one."""
        stack = "transformer.make_layer_stack.num_layers"
        activation = '["gelu", "linear"]' if self.is_gated else '"relu"'
        return [
            f"d_model = {self.d_model}",
            f"d_kv = {self.d_kv}",
            f"d_ff = {self.d_ff}",
            f"num_heads = {self.heads}",
            f"num_layers = {self.encoder_blocks}",
            f"encoder/{stack} = {self.encoder_blocks}",
            f"decoder/{stack} = {self.decoder_blocks}",
            f"DenseReluDense.activation = {activation}",
            f"Unitransformer.shared_embedding_and_softmax_weights = {not has_head}",
            f"transformer_layers.SelfAttention.relative_attention_num_buckets = {self.buckets}",
            f"dropout_rate = {self.dropout!r}",
            f"transformer.sublayer_rms_norm.epsilon = {self.epsilon!r}",
        ]


def read(folder: paths.Path) -> Architecture:
    """Read the architecture of the model in a folder.

    Raises:
      UserError: config.json can't be read, or the model is not T5, T5 1.1, Flan-T5 or mT5.
    """
    path = folder / huggingface.CONFIG
    try:
        config = records.parse(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--init_checkpoint {path}: not readable as JSON ({error}).") from error
    if not isinstance(config, Mapping):
        raise UserError(f"--init_checkpoint {path}: not a JSON object.")
    return _Fields(str(path), config).architecture()


@dataclasses.dataclass(frozen=True)
class _Fields:
    """The values of a config.json, with T5Config's defaults."""

    path: str
    config: Mapping[str, Any]

    def architecture(self) -> Architecture:
        kind = self._one_of("model_type", None, MODEL_TYPES)
        if self.config.get("is_encoder_decoder", True) is not True:
            raise self._refused("is_encoder_decoder", "it must be true")
        if self._size("relative_attention_max_distance", _MAX_DISTANCE) != _MAX_DISTANCE:
            raise self._refused(
                "relative_attention_max_distance", f"Mesh-TensorFlow has only {_MAX_DISTANCE}"
            )
        blocks = self._size("num_layers", 6)
        is_tied = self._flag("tie_word_embeddings", kind == "t5")
        return Architecture(
            d_model=self._size("d_model", 512),
            d_kv=self._size("d_kv", 64),
            d_ff=self._size("d_ff", 2048),
            heads=self._size("num_heads", 8),
            buckets=self._buckets(),
            words=self._size("vocab_size", 32128 if kind == "t5" else 250112),
            encoder_blocks=blocks,
            decoder_blocks=self._size("num_decoder_layers", blocks),
            is_gated=self._feed_forward(kind) == "gated-gelu",
            # Newer releases of transformers write scale_decoder_outputs, and tie every model.
            scales_logits=kind == "t5" and self._flag("scale_decoder_outputs", is_tied),
            may_have_head=kind == "mt5" or not is_tied or "scale_decoder_outputs" in self.config,
            dropout=self._fraction("dropout_rate", 0.1),
            epsilon=self._fraction("layer_norm_epsilon", _T5_EPSILON),
        )

    def _buckets(self) -> int:
        # In each direction half of the buckets are exact distances; the others are logarithmic.
        name = "relative_attention_num_buckets"
        buckets = self._size(name, 32)
        if buckets % 4 or buckets >= 2 * _MAX_DISTANCE:
            raise self._refused(name, f"it must be a multiple of 4 below {2 * _MAX_DISTANCE}")
        return buckets

    def _feed_forward(self, kind: str) -> str:
        default = "relu" if kind == "t5" else "gated-gelu"
        return self._one_of("feed_forward_proj", default, _FEED_FORWARD)

    def _one_of(self, name: str, default: str | None, known: tuple[str, ...]) -> str:
        value = self.config.get(name, default)
        if not isinstance(value, str) or value not in known:
            raise self._refused(name, f"it must be {' or '.join(known)}")
        return value

    def _size(self, name: str, default: int) -> int:
        value = self.config.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
            raise self._refused(name, f"it must be a whole number from 1 to {_LARGEST}")
        return value

    def _fraction(self, name: str, default: float) -> float:
        value = self.config.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise self._refused(name, "it must be a number in [0, 1)")
        return float(value)

    def _flag(self, name: str, default: bool) -> bool:
        value = self.config.get(name, default)
        if not isinstance(value, bool):
            raise self._refused(name, "it must be true or false")
        return value

    def _refused(self, name: str, reason: str) -> UserError:
        shown = repr(self.config.get(name))
        shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
        return UserError(
            f"--init_checkpoint {self.path}: {name} is {shown}, but {reason}. Give a model of "
            "T5, T5 1.1, "
            "Flan-T5 or mT5."
        )
