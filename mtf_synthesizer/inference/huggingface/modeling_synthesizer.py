"""Synthesizers in PyTorch: T5 around attention softmax(S(X)) G(X) with any synthesizing function S.

"Synthesizer: Rethinking Self-Attention in Transformer Models", https://arxiv.org/abs/2005.00743.
This file was written by `mtf_synthesizer export --format huggingface` beside the weights of a model
that was trained with Mesh-TensorFlow. It needs torch and transformers (4.57 or newer) alone:

    AutoModelForSeq2SeqLM.from_pretrained(folder, trust_remote_code=True)  # encoder and decoder
    AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)  # decoder only

In comments b is the batch, h the heads, l the queries, m the keys, d = d_model, k = d_kv, and p the
position of a token in its own sequence, padding not counted.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import (
    BaseModelOutput,
    CausalLMOutputWithPast,
    Seq2SeqLMOutput,
)

# transformers 5.24 renamed the cache in the outputs of models.
_CACHE = "cache" if "cache" in Seq2SeqLMOutput.__dataclass_fields__ else "past_key_values"
_MAX_DISTANCE = 128  # beyond, all distances have one relative bias
_IGNORED = -100  # label that counts for no loss


class SynthesizerConfig(PretrainedConfig):
    """The architecture of a model.

    Args:
      vocab_size: rows of the embedding.
      d_model, d_ff: widths of the model and of the hidden layer of the feed-forward layers.
      encoder_attention: self-attention of the encoder, as `SelfAttention` describes; None without
        an encoder.
      decoder_attention: description of the decoder's self-attention.
      num_layers, num_decoder_layers: blocks of each.
      cross_attention: num_heads and d_kv of the attention over the encoder.
      feed_forward_proj: "relu" or "gated-gelu".
      has_own_head: whether logits have weights of their own, not those of the embedding.
      layer_norm_epsilon: added to the mean square.
      dropout_rate: in training.
    """

    model_type = "mtf_synthesizer"
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_hidden_layers": "num_decoder_layers",
        "num_attention_heads": "num_heads",
    }

    def __init__(
        self,
        vocab_size: int = 32128,
        d_model: int = 512,
        d_ff: int = 2048,
        encoder_attention: dict[str, Any] | None = None,
        decoder_attention: dict[str, Any] | None = None,
        num_layers: int = 6,
        num_decoder_layers: int = 6,
        cross_attention: dict[str, int] | None = None,
        feed_forward_proj: str = "relu",
        has_own_head: bool = False,
        layer_norm_epsilon: float = 1e-6,
        dropout_rate: float = 0.1,
        **kwargs: Any,
    ):
        heads = {"num_heads": 8, "d_kv": 64}
        dot_product = {**heads, "synthesizer": {"kind": "dot_product"}}
        self.vocab_size = vocab_size
        self.d_model = d_model
        self.d_ff = d_ff
        self.encoder_attention = encoder_attention
        self.decoder_attention = decoder_attention or dot_product
        self.num_layers = num_layers
        self.num_decoder_layers = num_decoder_layers
        self.num_heads = self.decoder_attention["num_heads"]
        self.cross_attention = cross_attention or heads
        self.feed_forward_proj = feed_forward_proj
        self.has_own_head = has_own_head
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dropout_rate = dropout_rate
        kwargs.setdefault("is_encoder_decoder", encoder_attention is not None)
        kwargs.setdefault("pad_token_id", 0)
        kwargs.setdefault("eos_token_id", 1)
        kwargs.setdefault("decoder_start_token_id", 0)
        kwargs["tie_word_embeddings"] = False  # logits take the embedding itself, see `_logits`
        super().__init__(**kwargs)


@dataclasses.dataclass
class View:
    """Inputs of a synthesizing function.

    Attributes:
      x: input of the layer [b, l, d].
      layer: the layer, whose query projection a function may share.
      queries, keys: positions p [b or 1, l] and [b or 1, m].
      projected_keys: W_K x of every dot product in turn, [b, h, m, k] each.
    """

    x: torch.Tensor
    layer: SelfAttention
    queries: torch.Tensor
    keys: torch.Tensor
    projected_keys: list[torch.Tensor]


class DotProduct(nn.Module):
    """V: S[i, j] = q_i . k_j, without a division by sqrt(k), as in T5.

    The first one of a layer uses q and k of the layer; further ones have their own.
    """

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__()
        self.number = layer.count_dot_products()
        if self.number:
            self.q = nn.Linear(layer.d_model, layer.heads * layer.d_kv, bias=False)
            self.k = nn.Linear(layer.d_model, layer.heads * layer.d_kv, bias=False)

    def key(self, layer: SelfAttention, x: torch.Tensor) -> torch.Tensor:
        return layer.split((self if self.number else layer).k(x))

    def forward(self, view: View) -> torch.Tensor:
        query = view.layer.split((self if self.number else view.layer).q(view.x))
        return query @ view.projected_keys[self.number].transpose(-1, -2)


class Tabular(nn.Module):
    """A function with a table over N = `max_length` positions."""

    def __init__(self, spec: dict[str, Any]):
        super().__init__()
        self.max_length = spec["max_length"]
        self.tiles = spec.get("tiles", False)

    def rows(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions as rows of the table: p mod N where the table is tiled."""
        if self.tiles:
            return positions % self.max_length
        if positions.numel() and int(positions.max()) >= self.max_length:
            raise ValueError(
                f"{int(positions.max()) + 1} tokens, but the attention of this model was trained "
                f"for {self.max_length}: shorten the inputs or max_new_tokens"
            )
        return positions


class Random(Tabular):
    """R and Fix: S[i, j] = R[h, p_i, p_j], a table, trained (R) or as it was drawn (Fix)."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__(spec)
        table = torch.empty(layer.heads, self.max_length, self.max_length)
        self.table = nn.Parameter(table, requires_grad=spec["kind"] == "random")

    def forward(self, view: View) -> torch.Tensor:
        queries, keys = self.rows(view.queries), self.rows(view.keys)
        return self.table[:, queries[:, :, None], keys[:, None, :]].transpose(0, 1)


class FactorizedRandom(Tabular):
    """FR: S[i, j] = sum_r R1[h, p_i, r] R2[h, p_j, r]."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__(spec)
        self.r1 = nn.Parameter(torch.empty(layer.heads, self.max_length, spec["rank"]))
        self.r2 = nn.Parameter(torch.empty(layer.heads, self.max_length, spec["rank"]))

    def forward(self, view: View) -> torch.Tensor:
        r1 = self.r1[:, self.rows(view.queries)].transpose(0, 1)  # [b or 1, h, l, r]
        r2 = self.r2[:, self.rows(view.keys)].transpose(0, 1)
        return r1 @ r2.transpose(-1, -2)


class DenseFunction(Tabular):
    """A function of a hidden layer relu(W1 x_i), whose W1 may be W_Q of the layer."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__(spec)
        if not spec.get("hidden_is_query", False):
            self.w1 = nn.Parameter(torch.empty(layer.d_model, layer.heads, layer.d_kv))
        else:
            self.w1 = None

    def hidden(self, view: View) -> torch.Tensor:
        """relu(W1 x) [b, h, l, k]."""
        if self.w1 is None:
            return functional.relu(view.layer.split(view.layer.q(view.x)))
        return functional.relu(torch.einsum("bld,dhk->bhlk", view.x, self.w1))


class Dense(DenseFunction):
    """D: S[i, j] = (W2 relu(W1 x_i))[p_j]; W2 may be shared by the heads."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__(layer, spec)
        heads = () if spec.get("shared_heads", False) else (layer.heads,)
        self.w2 = nn.Parameter(torch.empty(*heads, layer.d_kv, self.max_length))

    def forward(self, view: View) -> torch.Tensor:
        w2 = self.w2 if self.w2.dim() == 3 else self.w2[None]
        columns = w2[:, :, self.rows(view.keys)].permute(2, 0, 1, 3)  # [b or 1, h or 1, k, m]
        return self.hidden(view) @ columns


class FactorizedDense(DenseFunction):
    """FD: S[i, j] = A_i[p_j mod a] B_i[p_j div a], A and B two maps of one hidden layer."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__(layer, spec)
        self.a = spec["a"]
        self.wa = nn.Parameter(torch.empty(layer.heads, layer.d_kv, self.a))
        self.wb = nn.Parameter(torch.empty(layer.heads, layer.d_kv, self.max_length // self.a))

    def forward(self, view: View) -> torch.Tensor:
        hidden, keys = self.hidden(view), self.rows(view.keys)
        return _columns(hidden @ self.wa, keys % self.a) * _columns(
            hidden @ self.wb, keys.div(self.a, rounding_mode="floor")
        )


def _columns(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """x[b, h, l, indices[b, m]] as [b, h, l, m]; `indices` may have one row for all."""
    shape = (*x.shape[:-1], indices.shape[-1])
    return x.gather(-1, indices[:, None, None, :].expand(shape))


class Toeplitz(nn.Module):
    """S[i, j] = t[h, p_i - p_j], distances beyond N - 1 = `max_length` - 1 as N - 1."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__()
        self.farthest = spec["max_length"] - 1
        self.table = nn.Parameter(torch.empty(layer.heads, 2 * self.farthest + 1))

    def forward(self, view: View) -> torch.Tensor:
        behind = view.queries[:, :, None] - view.keys[:, None, :]
        entries = behind.clamp(-self.farthest, self.farthest) + self.farthest
        return self.table[:, entries].transpose(0, 1)


class Uniform(nn.Module):
    """S = 0: the mean of all visible values, or a relative bias alone."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__()

    def forward(self, view: View) -> torch.Tensor:
        shape = (1, view.layer.heads, view.queries.shape[1], view.keys.shape[1])
        return view.x.new_zeros(shape)


class Sum(nn.Module):
    """S = sum_n S_n."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__()
        self.functions = nn.ModuleList([_function(layer, term) for term in spec["functions"]])

    def forward(self, view: View) -> torch.Tensor:
        return sum(function(view) for function in self.functions)


class Mixture(nn.Module):
    """S = sum_n alpha[h, n] S_n, alpha = softmax of a learned a[h, n]."""

    def __init__(self, layer: SelfAttention, spec: dict[str, Any]):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(layer.heads, len(spec["functions"])))
        self.functions = nn.ModuleList([_function(layer, term) for term in spec["functions"]])

    def forward(self, view: View) -> torch.Tensor:
        alphas = self.alpha.float().softmax(-1)[:, :, None, None].unbind(1)  # n of [h, 1, 1]
        terms = zip(alphas, self.functions, strict=True)
        return sum(alpha * function(view).float() for alpha, function in terms)


_KINDS = {
    "dot_product": DotProduct,
    "random": Random,
    "fixed_random": Random,
    "factorized_random": FactorizedRandom,
    "dense": Dense,
    "factorized_dense": FactorizedDense,
    "toeplitz": Toeplitz,
    "uniform": Uniform,
    "mixture": Mixture,
    "sum": Sum,
}


def _function(layer: SelfAttention, spec: dict[str, Any]) -> nn.Module:
    return _KINDS[spec["kind"]](layer, spec)


class SelfAttention(nn.Module):
    """Y = W_O softmax(S(X) + relative bias) W_V X.

    Args:
      d_model: width of the model.
      spec: num_heads, d_kv, synthesizer (a function: its kind and what that needs),
        relative_attention (None, "bias" or "bias_shared") and num_buckets.
      is_causal: whether a token sees only those before it.
      is_first: whether it is the layer whose relative bias others share.
    """

    def __init__(self, d_model: int, spec: dict[str, Any], is_causal: bool, is_first: bool):
        super().__init__()
        self.d_model, self.heads, self.d_kv = d_model, spec["num_heads"], spec["d_kv"]
        self.is_causal = is_causal
        width = self.heads * self.d_kv
        self._dot_products = 0
        synthesizer = _function(self, spec["synthesizer"])
        if self._dot_products or _takes_query(spec["synthesizer"]):
            self.q = nn.Linear(d_model, width, bias=False)
        if self._dot_products:
            self.k = nn.Linear(d_model, width, bias=False)
        self.v = nn.Linear(d_model, width, bias=False)
        self.o = nn.Linear(width, d_model, bias=False)
        self.synthesizer = synthesizer
        self.relative_attention = spec.get("relative_attention")
        if self.relative_attention == "bias" or (self.relative_attention and is_first):
            self.relative_attention_bias = nn.Embedding(spec["num_buckets"], self.heads)

    def count_dot_products(self) -> int:
        """The number of dot products made before; called by each of them."""
        self._dot_products += 1
        return self._dot_products - 1

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[b, l, h * k] -> [b, h, l, k]."""
        return x.unflatten(-1, (self.heads, self.d_kv)).transpose(1, 2)

    def forward(
        self,
        x: torch.Tensor,
        step: Step,
        shared_bias: torch.Tensor | None,
        cache: Cache | None,
        number: int,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Output [b, l, d], the relative bias and the weights [b, h, l, m]."""
        keys, values = self.project(x)
        if cache is not None:
            keys, values = cache.update(keys, values, number)
        return self.attend(x, step, shared_bias, keys, values)

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys of all dot products in one tensor, and values, [b, h, l, ...] each."""
        products = [
            module for module in self.synthesizer.modules() if isinstance(module, DotProduct)
        ]
        keys = [product.key(self, x) for product in products]
        values = self.split(self.v(x))
        # The cache counts tokens by their keys; a layer without dot product stores a placeholder.
        return torch.cat(keys, -1) if keys else values[..., :1], values

    def attend(
        self,
        x: torch.Tensor,
        step: Step,
        shared_bias: torch.Tensor | None,
        joined: torch.Tensor,
        values: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """The same, with keys and values of all tokens as `project` gives them."""
        keys = list(joined.split(self.d_kv, -1)) if self._dot_products else []
        logits = self.synthesizer(View(x, self, step.queries, step.keys, keys)).float()
        bias = self._bias(step, shared_bias)
        logits = logits + step.mask if bias is None else logits + bias + step.mask
        weights = logits.softmax(-1).to(values.dtype)
        y = step.dropout(weights) @ values
        return self.o(y.transpose(1, 2).flatten(2)), bias, weights

    def _bias(self, step: Step, shared: torch.Tensor | None) -> torch.Tensor | None:
        if self.relative_attention is None:
            return None
        if self.relative_attention == "bias_shared" and shared is not None:
            return shared
        table = self.relative_attention_bias
        buckets = _buckets(step.distances, table.num_embeddings, not self.is_causal)
        return table(buckets).float().permute(2, 0, 1)[None]


class HeadGroups(nn.Module):
    """Heads with functions of their own: a self-attention for each group, whose outputs add up.

    Args:
      d_model, is_causal, is_first: as for `SelfAttention`.
      spec: likewise; its synthesizer has `functions` and `sizes`, the heads of each of them.
    """

    def __init__(self, d_model: int, spec: dict[str, Any], is_causal: bool, is_first: bool):
        super().__init__()
        parts = zip(spec["synthesizer"]["functions"], spec["synthesizer"]["sizes"], strict=True)
        self.groups = nn.ModuleList(
            SelfAttention(
                d_model,
                {**spec, "num_heads": size, "synthesizer": synthesizer},
                is_causal,
                is_first,
            )
            for synthesizer, size in parts
        )

    def forward(
        self,
        x: torch.Tensor,
        step: Step,
        shared_bias: list[torch.Tensor | None] | None,
        cache: Cache | None,
        number: int,
    ) -> tuple[torch.Tensor, list[torch.Tensor | None], torch.Tensor]:
        """Output, a relative bias for each group, and the weights of all heads."""
        projected = [group.project(x) for group in self.groups]
        keys, values = ([pair[n] for pair in projected] for n in (0, 1))
        if cache is not None:  # which has one tensor of each for a layer
            shapes = [[tensor.shape for tensor in tensors] for tensors in (keys, values)]
            updated = cache.update(_flat(keys), _flat(values), number)
            keys, values = (_parts(t, s) for t, s in zip(updated, shapes, strict=True))
        biases = shared_bias or [None] * len(self.groups)
        attended = [
            group.attend(x, step, *parts)
            for group, *parts in zip(self.groups, biases, keys, values, strict=True)
        ]
        outputs, biases, weights = zip(*attended, strict=True)
        return sum(outputs), list(biases), torch.cat(weights, 1)


def _flat(tensors: list[torch.Tensor]) -> torch.Tensor:
    """[b, h, l, n] of each group as one [b, 1, l, sum of all h * n]."""
    return torch.cat([tensor.transpose(1, 2).flatten(2) for tensor in tensors], -1)[:, None]


def _parts(tensor: torch.Tensor, shapes: list[torch.Size]) -> list[torch.Tensor]:
    """The opposite of `_flat`, with as many tokens as the cache has now."""
    widths = [shape[1] * shape[3] for shape in shapes]
    return [
        part.unflatten(-1, (shape[1], shape[3])).transpose(1, 2)
        for part, shape in zip(tensor[:, 0].split(widths, -1), shapes, strict=True)
    ]


def _takes_query(spec: dict[str, Any]) -> bool:
    return spec.get("hidden_is_query", False) or any(map(_takes_query, spec.get("functions", ())))


def _buckets(distances: torch.Tensor, count: int, both_ways: bool) -> torch.Tensor:
    """T5's bucket of each distance key - query: exact when near, logarithmic up to 128."""
    base = torch.zeros_like(distances)
    if both_ways:
        count //= 2
        base = (distances > 0).long() * count
        distances = distances.abs()
    else:
        distances = (-distances).clamp(min=0)
    exact = count // 2
    scale = (count - exact) / math.log(_MAX_DISTANCE / exact)
    far = exact + (torch.log(distances.clamp(min=1).float() / exact) * scale).long()
    return base + torch.where(distances < exact, distances, far.clamp(max=count - 1))


class CrossAttention(nn.Module):
    """T5's attention over the output of the encoder."""

    def __init__(self, d_model: int, num_heads: int, d_kv: int):
        super().__init__()
        self.heads, self.d_kv = num_heads, d_kv
        width = num_heads * d_kv
        self.q = nn.Linear(d_model, width, bias=False)
        self.k = nn.Linear(d_model, width, bias=False)
        self.v = nn.Linear(d_model, width, bias=False)
        self.o = nn.Linear(width, d_model, bias=False)

    def forward(
        self, x: torch.Tensor, step: Step, cache: Cache | None, number: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Output [b, l, d] and the weights [b, h, l, m]."""
        if cache is not None and cache.is_updated.get(number):
            kept = cache.cross_attention_cache.layers[number]
            keys, values = kept.keys, kept.values
        else:
            keys, values = self._split(self.k(step.encoded)), self._split(self.v(step.encoded))
            if cache is not None:
                keys, values = cache.cross_attention_cache.update(keys, values, number)
                cache.is_updated[number] = True
        logits = (self._split(self.q(x)) @ keys.transpose(-1, -2)).float()
        weights = (logits + step.encoded_mask).softmax(-1).to(values.dtype)
        y = step.dropout(weights) @ values
        return self.o(y.transpose(1, 2).flatten(2)), weights

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, self.d_kv)).transpose(1, 2)


@dataclasses.dataclass
class Step:
    """Values that all layers of a stack share in one call.

    Attributes:
      queries, keys: positions p [b or 1, l] and [b or 1, m].
      distances: key - query, by offset in the row [l, m].
      mask: 0 or the lowest number, [b or 1, 1, l, m].
      dropout: dropout, which is active in training only.
      encoded, encoded_mask: output of the encoder [b, m, d] and its mask [b or 1, 1, 1, m].
    """

    queries: torch.Tensor
    keys: torch.Tensor
    distances: torch.Tensor
    mask: torch.Tensor
    dropout: nn.Module
    encoded: torch.Tensor | None = None
    encoded_mask: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        x: torch.Tensor,
        past: int,
        present: torch.Tensor | None,
        is_causal: bool,
        dropout: nn.Module,
    ) -> Step:
        """For x [b, l, d] after `past` tokens; `present` [b, past + l] is 0 where padding is."""
        count = past + x.shape[1]
        offsets = torch.arange(count, device=x.device)
        distances = offsets[None, :] - offsets[past:, None]
        hidden = distances > 0 if is_causal else torch.zeros_like(distances, dtype=torch.bool)
        hidden, keys = hidden[None, None], offsets[None]
        if present is not None:
            hidden = hidden | (present[:, None, None, :count] == 0)
            keys = (present[:, :count].long().cumsum(-1) - 1).clamp(min=0)
        return cls(keys[:, past:], keys, distances, _additive(hidden), dropout)


def _additive(hidden: torch.Tensor) -> torch.Tensor:
    """0 where `hidden` is False, else the lowest number: a fully hidden row is uniform, not nan."""
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, lowest)


class RMSNorm(nn.Module):
    """x / sqrt(mean of x^2 + epsilon) * weight."""

    def __init__(self, size: int, epsilon: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * (x * scale).to(self.weight.dtype)


class FeedForward(nn.Module):
    """T5's: W_O relu(W_I x), or W_O (gelu(W_I0 x) * W_I1 x)."""

    def __init__(self, config: SynthesizerConfig):
        super().__init__()
        self.is_gated = config.feed_forward_proj == "gated-gelu"
        if self.is_gated:
            self.wi_0 = nn.Linear(config.d_model, config.d_ff, bias=False)
            self.wi_1 = nn.Linear(config.d_model, config.d_ff, bias=False)
        else:
            self.wi = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.wo = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x: torch.Tensor, dropout: nn.Module) -> torch.Tensor:
        if self.is_gated:
            hidden = functional.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x)
        else:
            hidden = functional.relu(self.wi(x))
        return self.wo(dropout(hidden))


class Layer(nn.Module):
    """A layer under the name that T5's models have for it, and the norm before it."""

    def __init__(self, config: SynthesizerConfig, name: str, layer: nn.Module):
        super().__init__()
        self.add_module(name, layer)
        self.layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self._name = name

    @property
    def body(self) -> nn.Module:
        return getattr(self, self._name)


class Block(nn.Module):
    """Self-attention, in a decoder beside an encoder cross-attention, and feed-forward layer."""

    def __init__(self, config: SynthesizerConfig, spec: dict[str, Any], causal: bool, number: int):
        super().__init__()
        kind = HeadGroups if spec["synthesizer"]["kind"] == "heads" else SelfAttention
        attention = kind(config.d_model, spec, causal, is_first=number == 0)
        layers = [Layer(config, "SelfAttention", attention)]
        self.has_cross_attention = causal and config.is_encoder_decoder
        if self.has_cross_attention:
            cross = CrossAttention(config.d_model, **config.cross_attention)
            layers.append(Layer(config, "EncDecAttention", cross))
        layers.append(Layer(config, "DenseReluDense", FeedForward(config)))
        self.layer = nn.ModuleList(layers)
        self.number = number

    def forward(
        self, x: torch.Tensor, step: Step, shared_bias: torch.Tensor | None, cache: Cache | None
    ) -> tuple[torch.Tensor, torch.Tensor | None, list[torch.Tensor]]:
        """Output, relative bias and weights of the attentions."""
        first = self.layer[0]
        of_self = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
        y, bias, weights = first.body(first.layer_norm(x), step, shared_bias, of_self, self.number)
        x, attentions = x + step.dropout(y), [weights]
        if self.has_cross_attention:
            second = self.layer[1]
            y, weights = second.body(second.layer_norm(x), step, cache, self.number)
            x, attentions = x + step.dropout(y), [*attentions, weights]
        last = self.layer[-1]
        return x + step.dropout(last.body(last.layer_norm(x), step.dropout)), bias, attentions


class Stack(nn.Module):
    """An encoder or a decoder.

    Args:
      config: configuration of the model.
      embedding: embedding of the model; only the model registers it, so the weight has one name.
      is_decoder: which of the two.
    """

    main_input_name = "input_ids"

    def __init__(self, config: SynthesizerConfig, embedding: nn.Embedding, is_decoder: bool):
        super().__init__()
        spec = config.decoder_attention if is_decoder else config.encoder_attention
        count = config.num_decoder_layers if is_decoder else config.num_layers
        self.is_decoder = is_decoder
        self.block = nn.ModuleList([Block(config, spec, is_decoder, i) for i in range(count)])
        self.final_layer_norm = RMSNorm(config.d_model, config.layer_norm_epsilon)
        self.dropout = nn.Dropout(config.dropout_rate)
        self.set_embedding(embedding)

    def set_embedding(self, embedding: nn.Embedding) -> None:
        self._embedding = (embedding,)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        encoded: torch.Tensor | None = None,
        encoded_mask: torch.Tensor | None = None,
        cache: Cache | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutput:
        x = self._embedding[0](input_ids) if inputs_embeds is None else inputs_embeds
        past = cache.get_seq_length() if cache is not None else 0
        step = Step.of(x, int(past), attention_mask, self.is_decoder, self.dropout)
        if encoded is not None:
            mask = torch.ones_like(encoded[..., 0]) if encoded_mask is None else encoded_mask
            step.encoded, step.encoded_mask = encoded, _additive(mask[:, None, None, :] == 0)
        x, bias, states, attentions = self.dropout(x), None, [], []
        for block in self.block:
            states.append(x)
            x, bias, weights = block(x, step, bias, cache)
            attentions.append(weights[0])
        x = self.dropout(self.final_layer_norm(x))
        return BaseModelOutput(
            last_hidden_state=x,
            hidden_states=(*states, x) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )


class SynthesizerModel(PreTrainedModel, GenerationMixin):
    """Base class of models with and without an encoder."""

    config_class = SynthesizerConfig
    base_model_prefix = "model"
    _no_split_modules: ClassVar[list[str]] = ["Block"]

    def __init__(self, config: SynthesizerConfig):
        super().__init__(config)
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        if config.encoder_attention is not None:
            self.encoder = Stack(config, self.shared, is_decoder=False)
        self.decoder = Stack(config, self.shared, is_decoder=True)
        if config.has_own_head:
            self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Initialize weights as mtf_synthesizer does, for training from initial values."""
        width = self.config.d_model
        for name, weight in module.named_parameters(recurse=False):
            if isinstance(module, RMSNorm) or name == "alpha":
                nn.init.ones_(weight)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            elif name in ("w2", "wa", "wb"):
                nn.init.normal_(weight, std=weight.shape[-2] ** -0.5)
            else:
                nn.init.normal_(weight, std=width**-0.5 if name == "w1" else 1.0)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.shared

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.shared = value
        self.decoder.set_embedding(value)
        if self.config.encoder_attention is not None:
            self.encoder.set_embedding(value)

    def get_output_embeddings(self) -> nn.Module | None:
        return self.lm_head if self.config.has_own_head else None

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        if self.config.has_own_head:
            return self.lm_head(x)
        return functional.linear(x * self.config.d_model**-0.5, self.shared.weight)


class SynthesizerForConditionalGeneration(SynthesizerModel):
    """Encoder and decoder."""

    def get_encoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        return self.encoder

    def get_decoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        return self.decoder

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        past_key_values: Cache | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Compute as T5ForConditionalGeneration; without `attention_mask` no input is padding."""
        output_options = {
            "output_attentions": output_attentions,
            "output_hidden_states": output_hidden_states,
        }
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids, attention_mask, inputs_embeds, **output_options
            )
        encoded = encoder_outputs[0]
        if decoder_input_ids is None and labels is not None:
            decoder_input_ids = self._shifted(labels)
        cache = cache if cache is not None else past_key_values
        if cache is None and use_cache:
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        decoded = self.decoder(
            decoder_input_ids,
            decoder_attention_mask,
            encoded=encoded,
            encoded_mask=attention_mask,
            cache=cache,
            **output_options,
        )
        logits = self._logits(decoded[0])
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=_IGNORED
            )
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            decoder_hidden_states=decoded.hidden_states,
            decoder_attentions=decoded.attentions,
            encoder_last_hidden_state=encoded,
            encoder_hidden_states=encoder_outputs.hidden_states,
            encoder_attentions=encoder_outputs.attentions,
            **{_CACHE: cache},
        )

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        return self._shifted(labels)

    def _shifted(self, labels: torch.Tensor) -> torch.Tensor:
        shifted = labels.roll(1, -1).masked_fill(labels.roll(1, -1) == _IGNORED, 0)
        shifted[:, 0] = self.config.decoder_start_token_id
        return shifted

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        past_key_values: Cache | None = None,
        cache: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Inputs of the next step: with a cache the tokens that it has not seen."""
        cache = cache if cache is not None else past_key_values
        seen = int(cache.get_seq_length()) if cache is not None else 0
        return {
            "decoder_input_ids": input_ids[:, seen:],
            "attention_mask": attention_mask,
            "encoder_outputs": encoder_outputs,
            "cache": cache,
            "use_cache": use_cache,
        }


class SynthesizerForCausalLM(SynthesizerModel):
    """A decoder alone. A text begins with the token 0: input_ids = [0, *tokens]."""

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits after every token; without `attention_mask` no input is padding."""
        cache = cache if cache is not None else past_key_values
        if cache is None and use_cache:
            cache = DynamicCache()
        decoded = self.decoder(
            input_ids,
            attention_mask,
            inputs_embeds,
            cache=cache,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )
        logits = self._logits(decoded[0])
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=_IGNORED
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=decoded.hidden_states,
            attentions=decoded.attentions,
            **{_CACHE: cache},
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        past_key_values: Cache | None = None,
        cache: Cache | None = None,
        attention_mask: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Inputs of the next step: with a cache the tokens that it has not seen."""
        cache = cache if cache is not None else past_key_values
        seen = int(cache.get_seq_length()) if cache is not None else 0
        return {
            "input_ids": input_ids[:, seen:],
            "attention_mask": attention_mask,
            "cache": cache,
            "use_cache": use_cache,
        }
