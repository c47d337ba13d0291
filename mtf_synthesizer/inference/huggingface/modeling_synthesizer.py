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
_OUTSIDE = -1e9  # far below any other logit, and finite


class SynthesizerConfig(PretrainedConfig):
    """The architecture of a model.

    Args:
      vocab_size: rows of the embedding.
      d_model, d_ff: widths of the model and of the hidden layer of the feed-forward layers.
      encoder_attention: self-attention of the encoder, as `Attention` describes it: once for all
        blocks, or in a list with one entry for each; None without an encoder.
      decoder_attention: likewise, of the decoder.
      num_layers, num_decoder_layers: blocks of each.
      cross_attention: likewise, of the decoder's attention over the encoder's output.
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
        encoder_attention: dict[str, Any] | list[dict[str, Any]] | None = None,
        decoder_attention: dict[str, Any] | list[dict[str, Any]] | None = None,
        num_layers: int = 6,
        num_decoder_layers: int = 6,
        cross_attention: dict[str, Any] | list[dict[str, Any]] | None = None,
        feed_forward_proj: str = "relu",
        has_own_head: bool = False,
        layer_norm_epsilon: float = 1e-6,
        dropout_rate: float = 0.1,
        **kwargs: Any,
    ):
        heads = {"num_heads": 8, "d_kv": 64}
        self.vocab_size = vocab_size
        self.d_model = d_model
        self.d_ff = d_ff
        self.encoder_attention = encoder_attention
        self.decoder_attention = decoder_attention or heads
        self.num_layers = num_layers
        self.num_decoder_layers = num_decoder_layers
        self.num_heads = _of_blocks(self.decoder_attention, 1)[0]["num_heads"]
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


def _of_blocks(specs: dict[str, Any] | list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """A description of attention for each block."""
    return specs if isinstance(specs, list) else [specs] * count


@dataclasses.dataclass
class Seen:
    """Tokens that attend (queries) and that are attended to (keys).

    Attributes:
      queries, keys: positions p [b or 1, l] and [b or 1, m].
      distances: key - query, [b or 1, l, m].
      mask: 0 or the lowest number, [b or 1, 1, l or 1, m].
      dropout: dropout, which is active in training only.
      biases: relative biases that layers of a stack share, by heads and group.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    distances: torch.Tensor
    mask: torch.Tensor
    dropout: nn.Module
    biases: dict[tuple[int, int], torch.Tensor] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class View:
    """Inputs of a synthesizing function.

    Attributes:
      x: input of the layer [b, l, d].
      layer: the layer, whose query projection a function may share.
      seen: positions of queries and keys.
      projected_keys: W_K of the keys' tokens for every dot product in turn, [b, h, m, k] each.
    """

    x: torch.Tensor
    layer: Attention
    seen: Seen
    projected_keys: list[torch.Tensor]


class DotProduct(nn.Module):
    """V: S[i, j] = q_i . k_j, without a division by sqrt(k), as in T5.

    The first one of a layer uses q and k of the layer; further ones have their own.
    """

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__()
        self.number = layer.count_dot_products()
        if self.number:
            self.q = nn.Linear(layer.d_model, layer.heads * layer.d_kv, bias=False)
            self.k = nn.Linear(layer.d_model, layer.heads * layer.d_kv, bias=False)

    def key(self, layer: Attention, x: torch.Tensor) -> torch.Tensor:
        return layer.split((self if self.number else layer).k(x))

    def forward(self, view: View) -> torch.Tensor:
        query = view.layer.split((self if self.number else view.layer).q(view.x))
        return query @ view.projected_keys[self.number].transpose(-1, -2)


class Tabular(nn.Module):
    """A function with a table over N = `max_length` positions.

    Args:
      spec: max_length; tiles, whether position p has row p mod N; or stretched_to, the n rows that
        the table is stretched to, between its rows or, with learned_tile, by learned weights.
      of_queries, of_keys: whether rows of the table are queries, and keys.
    """

    def __init__(self, spec: dict[str, Any], of_queries: bool = False, of_keys: bool = True):
        super().__init__()
        self.max_length = spec["max_length"]
        self.tiles = spec.get("tiles", False)
        self.length = spec.get("stretched_to")
        self.learns_tile = spec.get("learned_tile", False)
        if self.learns_tile and of_queries:
            self.tile_query_position = nn.Parameter(torch.empty(self.length, self.max_length))
        if self.learns_tile and of_keys:
            self.tile_key_position = nn.Parameter(torch.empty(self.length, self.max_length))

    def rows(self, positions: torch.Tensor) -> torch.Tensor:
        """Positions as rows of the table: p mod N where the table is tiled."""
        if self.tiles:
            return positions % self.max_length
        longest = self.length or self.max_length
        if positions.numel() and int(positions.max()) >= longest:
            raise ValueError(
                f"{int(positions.max()) + 1} tokens, but the attention of this model was trained "
                f"for {longest}: shorten the inputs or max_new_tokens"
            )
        return positions

    def of_queries(self, table: torch.Tensor, axis: int) -> torch.Tensor:
        """The table with a row along `axis` for every position of a query."""
        return self._stretched(table, axis, "tile_query_position")

    def of_keys(self, table: torch.Tensor, axis: int) -> torch.Tensor:
        """The table with a row along `axis` for every position of a key."""
        return self._stretched(table, axis, "tile_key_position")

    def _stretched(self, table: torch.Tensor, axis: int, tile: str) -> torch.Tensor:
        if self.length is None:
            return table
        if self.learns_tile:
            return torch.tensordot(table, getattr(self, tile), ([axis], [1])).movedim(-1, axis)
        last = self.max_length - 1
        places = torch.arange(self.length, device=table.device) * (last / (self.length - 1))
        below = places.floor().long().clamp(max=max(last - 1, 0))
        first, second = (
            table.index_select(axis, (below + n).clamp(max=last)).movedim(axis, -1) for n in (0, 1)
        )
        return (first + (second - first) * (places - below).to(table.dtype)).movedim(-1, axis)


class Random(Tabular):
    """R and Fix: S[i, j] = R[h, p_i, p_j], a table, trained (R) or as it was drawn (Fix)."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__(spec, of_queries=True)
        table = torch.empty(layer.heads, self.max_length, self.max_length)
        self.table = nn.Parameter(table, requires_grad=spec["kind"] == "random")

    def forward(self, view: View) -> torch.Tensor:
        queries, keys = self.rows(view.seen.queries), self.rows(view.seen.keys)
        table = self.of_keys(self.of_queries(self.table, 1), 2)
        return table[:, queries[:, :, None], keys[:, None, :]].transpose(0, 1)


class BandedRandom(Tabular):
    """R for the keys within w = `width` of the query: S[i, j] = R[h, p_i, j - i]; others -1e9."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__(spec, of_queries=True, of_keys=False)
        self.width = spec["width"]
        self.table = nn.Parameter(torch.empty(layer.heads, self.max_length, 2 * self.width + 1))

    def forward(self, view: View) -> torch.Tensor:
        ahead = view.seen.distances[:, None]  # [b or 1, 1, l, m]
        near = ahead.clamp(-self.width, self.width)
        rows = self.of_queries(self.table, 1)[:, self.rows(view.seen.queries)].transpose(0, 1)
        shape = (max(len(rows), len(near)), *rows.shape[1:3])  # b or 1, h, l
        entries = (near + self.width).expand(*shape, -1)
        return rows.expand(*shape, -1).gather(-1, entries).masked_fill(ahead != near, _OUTSIDE)


class FactorizedRandom(Tabular):
    """FR: S[i, j] = sum_r R1[h, p_i, r] R2[h, p_j, r]."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__(spec, of_queries=True)
        self.r1 = nn.Parameter(torch.empty(layer.heads, self.max_length, spec["rank"]))
        self.r2 = nn.Parameter(torch.empty(layer.heads, self.max_length, spec["rank"]))

    def forward(self, view: View) -> torch.Tensor:
        r1, r2 = self.of_queries(self.r1, 1), self.of_keys(self.r2, 1)
        r1 = r1[:, self.rows(view.seen.queries)].transpose(0, 1)  # [b or 1, h, l, r]
        r2 = r2[:, self.rows(view.seen.keys)].transpose(0, 1)
        return r1 @ r2.transpose(-1, -2)


class DenseFunction(Tabular):
    """A function of a hidden layer relu(W1 x_i), whose W1 may be W_Q of the layer."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
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

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__(layer, spec)
        heads = () if spec.get("shared_heads", False) else (layer.heads,)
        self.w2 = nn.Parameter(torch.empty(*heads, layer.d_kv, self.max_length))

    def forward(self, view: View) -> torch.Tensor:
        w2 = self.w2 if self.w2.dim() == 3 else self.w2[None]
        w2 = self.of_keys(w2, 2)
        columns = w2[:, :, self.rows(view.seen.keys)].permute(2, 0, 1, 3)  # [b or 1, h or 1, k, m]
        return self.hidden(view) @ columns


class FactorizedDense(DenseFunction):
    """FD: S[i, j] = A_i[p_j mod a] B_i[p_j div a], A and B two maps of one hidden layer."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__(layer, spec)
        self.a = spec["a"]
        self.wa = nn.Parameter(torch.empty(layer.heads, layer.d_kv, self.a))
        self.wb = nn.Parameter(torch.empty(layer.heads, layer.d_kv, self.max_length // self.a))

    def forward(self, view: View) -> torch.Tensor:
        hidden, keys = self.hidden(view), self.rows(view.seen.keys)
        if self.length is None:
            return self._at(hidden, keys)
        whole = torch.arange(self.max_length, device=keys.device)[None]
        return _columns(self.of_keys(self._at(hidden, whole), 3), keys)

    def _at(self, hidden: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """The product of both maps at these rows [b or 1, m]."""
        return _columns(hidden @ self.wa, rows % self.a) * _columns(
            hidden @ self.wb, rows.div(self.a, rounding_mode="floor")
        )


def _columns(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """x[b, h, l, indices[b, m]] as [b, h, l, m]; `indices` may have one row for all."""
    shape = (*x.shape[:-1], indices.shape[-1])
    return x.gather(-1, indices[:, None, None, :].expand(shape))


class Toeplitz(nn.Module):
    """S[i, j] = t[h, p_i - p_j], distances beyond N - 1 = `max_length` - 1 as N - 1."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__()
        self.farthest = spec["max_length"] - 1
        self.table = nn.Parameter(torch.empty(layer.heads, 2 * self.farthest + 1))

    def forward(self, view: View) -> torch.Tensor:
        behind = view.seen.queries[:, :, None] - view.seen.keys[:, None, :]
        entries = behind.clamp(-self.farthest, self.farthest) + self.farthest
        return self.table[:, entries].transpose(0, 1)


class Uniform(nn.Module):
    """S = 0: the mean of all visible values, or a relative bias alone."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__()

    def forward(self, view: View) -> torch.Tensor:
        shape = (1, view.layer.heads, *view.seen.distances.shape[1:])
        return view.x.new_zeros(shape)


class Sum(nn.Module):
    """S = sum_n S_n."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
        super().__init__()
        self.functions = nn.ModuleList([_function(layer, term) for term in spec["functions"]])

    def forward(self, view: View) -> torch.Tensor:
        return sum(function(view) for function in self.functions)


class Mixture(nn.Module):
    """S = sum_n alpha[h, n] S_n, alpha = softmax of a learned a[h, n]."""

    def __init__(self, layer: Attention, spec: dict[str, Any]):
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
    "banded_random": BandedRandom,
    "factorized_random": FactorizedRandom,
    "dense": Dense,
    "factorized_dense": FactorizedDense,
    "toeplitz": Toeplitz,
    "uniform": Uniform,
    "mixture": Mixture,
    "sum": Sum,
}


def _function(layer: Attention, spec: dict[str, Any]) -> nn.Module:
    return _KINDS[spec["kind"]](layer, spec)


class Attention(nn.Module):
    """Y = W_O softmax(S(X) + relative bias) W_V M, with M = X in self-attention.

    Args:
      d_model: width of the model.
      spec: num_heads, d_kv, synthesizer (a function: its kind and what that needs; the dot product
        by default), relative_attention (None, "bias" or "bias_shared") and num_buckets.
      is_causal: whether a token sees only those before it.
      owned: heads and group of the layers before that own a shared relative bias; a layer that is
        the first of its kind adds itself.
      group: number of the group of heads.
    """

    def __init__(
        self,
        d_model: int,
        spec: dict[str, Any],
        is_causal: bool,
        owned: set[tuple[int, int]],
        group: int = -1,
    ):
        super().__init__()
        self.d_model, self.heads, self.d_kv = d_model, spec["num_heads"], spec["d_kv"]
        self.is_causal = is_causal
        width = self.heads * self.d_kv
        self._dot_products = 0
        function = spec.get("synthesizer", {"kind": "dot_product"})
        synthesizer = _function(self, function)
        if self._dot_products or _takes_query(function):
            self.q = nn.Linear(d_model, width, bias=False)
        if self._dot_products:
            self.k = nn.Linear(d_model, width, bias=False)
        self.v = nn.Linear(d_model, width, bias=False)
        self.o = nn.Linear(width, d_model, bias=False)
        self.synthesizer = synthesizer
        self.relative_attention = spec.get("relative_attention")
        self._key = (self.heads, group)
        is_shared = self.relative_attention == "bias_shared"
        if self.relative_attention == "bias" or (is_shared and self._key not in owned):
            self.relative_attention_bias = nn.Embedding(spec["num_buckets"], self.heads)
        if is_shared:
            owned.add(self._key)

    def count_dot_products(self) -> int:
        """The number of dot products made before; called by each of them."""
        self._dot_products += 1
        return self._dot_products - 1

    @property
    def key_width(self) -> int:
        """Width of the keys of one head, as `project` gives them."""
        return max(1, self._dot_products * self.d_kv)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[b, l, h * k] -> [b, h, l, k]."""
        return x.unflatten(-1, (self.heads, self.d_kv)).transpose(1, 2)

    def project(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys of all dot products in one tensor, and values, [b, h, m, ...] each.

        Args:
          memory: the keys' tokens M [b, m, d].
        """
        products = [
            module for module in self.synthesizer.modules() if isinstance(module, DotProduct)
        ]
        keys = [product.key(self, memory) for product in products]
        values = self.split(self.v(memory))
        # The cache counts tokens by their keys; a layer without dot product stores a placeholder.
        return torch.cat(keys, -1) if keys else values[..., :1], values

    def attend(
        self, x: torch.Tensor, seen: Seen, joined: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Output [b, l, d] and weights [b, h, l, m] for keys and values as `project` gives them."""
        keys = list(joined.split(self.d_kv, -1)) if self._dot_products else []
        logits = self.synthesizer(View(x, self, seen, keys)).float()
        if self.relative_attention is not None:
            logits = logits + self._bias(seen)
        weights = (logits + seen.mask).softmax(-1).to(values.dtype)
        y = seen.dropout(weights) @ values
        return self.o(y.transpose(1, 2).flatten(2)), weights

    def _bias(self, seen: Seen) -> torch.Tensor:
        """The relative bias [1, h, l, m]."""
        is_shared = self.relative_attention == "bias_shared"
        if is_shared and self._key in seen.biases:
            return seen.biases[self._key]
        table = self.relative_attention_bias
        buckets = _buckets(seen.distances, table.num_embeddings, not self.is_causal)
        bias = table(buckets).float().permute(0, 3, 1, 2)
        if is_shared:
            seen.biases[self._key] = bias
        return bias


class HeadGroups(nn.Module):
    """Heads with functions of their own: an attention for each group, whose outputs add up.

    Args:
      d_model, is_causal, owned: as for `Attention`.
      spec: likewise; its synthesizer has `functions` and `sizes`, the heads of each of them.
    """

    def __init__(
        self,
        d_model: int,
        spec: dict[str, Any],
        is_causal: bool,
        owned: set[tuple[int, int]],
    ):
        super().__init__()
        parts = zip(spec["synthesizer"]["functions"], spec["synthesizer"]["sizes"], strict=True)
        self.groups = nn.ModuleList(
            Attention(
                d_model,
                {**spec, "num_heads": size, "synthesizer": synthesizer},
                is_causal,
                owned,
                number,
            )
            for number, (synthesizer, size) in enumerate(parts)
        )

    def project(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of all groups, [b, 1, m, sum of h * n] each: a cache has one tensor."""
        keys, values = zip(*(group.project(memory) for group in self.groups), strict=True)
        return _flat(keys), _flat(values)

    def attend(
        self, x: torch.Tensor, seen: Seen, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return output and weights, as `Attention.attend` does."""
        heads = [group.heads for group in self.groups]
        of_groups = zip(
            self.groups,
            _parts(keys, heads, [group.key_width for group in self.groups]),
            _parts(values, heads, [group.d_kv for group in self.groups]),
            strict=True,
        )
        attended = [group.attend(x, seen, *tensors) for group, *tensors in of_groups]
        outputs, weights = zip(*attended, strict=True)
        # Weights of positions alone are the same for the whole batch.
        return sum(outputs), torch.cat(
            [group_weights.expand(len(x), -1, -1, -1) for group_weights in weights], 1
        )


def _flat(tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """[b, h, m, n] of each group as one [b, 1, m, sum of all h * n]."""
    return torch.cat([tensor.transpose(1, 2).flatten(2) for tensor in tensors], -1)[:, None]


def _parts(tensor: torch.Tensor, heads: list[int], widths: list[int]) -> list[torch.Tensor]:
    """The opposite of `_flat`, for groups with these h and n."""
    sizes = [h * n for h, n in zip(heads, widths, strict=True)]
    return [
        part.unflatten(-1, (h, -1)).transpose(1, 2)
        for part, h in zip(tensor[:, 0].split(sizes, -1), heads, strict=True)
    ]


def _attention(
    d_model: int, spec: dict[str, Any], is_causal: bool, owned: set[tuple[int, int]]
) -> nn.Module:
    is_grouped = spec.get("synthesizer", {}).get("kind") == "heads"
    return (HeadGroups if is_grouped else Attention)(d_model, spec, is_causal, owned)


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


@dataclasses.dataclass
class Step:
    """Values that all layers of a stack share in one call.

    Attributes:
      own: queries and keys of self-attention.
      encoded: output of the encoder [b, m, d].
      cross: queries, and the encoder's tokens as keys.
      dropout: dropout, which is active in training only.
    """

    own: Seen
    encoded: torch.Tensor | None
    cross: Seen | None
    dropout: nn.Module


def _own_tokens(
    x: torch.Tensor, past: int, present: torch.Tensor | None, is_causal: bool, dropout: nn.Module
) -> Seen:
    """For x [b, l, d] after `past` tokens; `present` [b, past + l] is 0 where padding is."""
    count = past + x.shape[1]
    offsets = torch.arange(count, device=x.device)
    distances = (offsets[None, :] - offsets[past:, None])[None]
    hidden = distances > 0 if is_causal else torch.zeros_like(distances, dtype=torch.bool)
    hidden, keys = hidden[:, None], offsets[None]
    if present is not None:
        hidden = hidden | (present[:, None, None, :count] == 0)
        keys = _positions(present[:, :count])
    return Seen(keys[:, past:], keys, distances, _additive(hidden), dropout)


def _tokens_of_encoder(own: Seen, encoded: torch.Tensor, present: torch.Tensor | None) -> Seen:
    """For the queries of `own` and encoded [b, m, d]; `present` [b, m] is 0 where padding is."""
    present = torch.ones_like(encoded[:1, :, 0]) if present is None else present
    keys = _positions(present)
    distances = keys[:, None, :] - own.queries[:, :, None]
    return Seen(own.queries, keys, distances, _additive(present[:, None, None] == 0), own.dropout)


def _positions(present: torch.Tensor) -> torch.Tensor:
    return (present.long().cumsum(-1) - 1).clamp(min=0)


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
    """Self-attention, in a decoder beside an encoder cross-attention, and feed-forward layer.

    Args:
      config: configuration of the model.
      spec: description of the self-attention.
      cross: description of the cross-attention; None without one.
      is_causal, owned: as for `Attention`.
      number: number of the block.
    """

    def __init__(
        self,
        config: SynthesizerConfig,
        spec: dict[str, Any],
        cross: dict[str, Any] | None,
        is_causal: bool,
        owned: set[tuple[int, int]],
        number: int,
    ):
        super().__init__()
        attention = _attention(config.d_model, spec, is_causal, owned)
        layers = [Layer(config, "SelfAttention", attention)]
        self.has_cross_attention = cross is not None
        if cross is not None:
            attention = _attention(config.d_model, cross, False, set())
            layers.append(Layer(config, "EncDecAttention", attention))
        layers.append(Layer(config, "DenseReluDense", FeedForward(config)))
        self.layer = nn.ModuleList(layers)
        self.number = number

    def forward(
        self, x: torch.Tensor, step: Step, cache: Cache | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Output and weights of the attentions."""
        y, weights = self._self_attention(x, step, cache)
        x, attentions = x + step.dropout(y), [weights]
        if self.has_cross_attention:
            y, weights = self._cross_attention(x, step, cache)
            x, attentions = x + step.dropout(y), [*attentions, weights]
        last = self.layer[-1]
        return x + step.dropout(last.body(last.layer_norm(x), step.dropout)), attentions

    def _self_attention(
        self, x: torch.Tensor, step: Step, cache: Cache | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.layer[0].layer_norm(x)
        attention = self.layer[0].body
        keys, values = attention.project(x)
        if cache is not None:
            own = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
            keys, values = own.update(keys, values, self.number)
        return attention.attend(x, step.own, keys, values)

    def _cross_attention(
        self, x: torch.Tensor, step: Step, cache: Cache | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.layer[1].layer_norm(x)
        attention = self.layer[1].body
        if cache is not None and cache.is_updated.get(self.number):
            kept = cache.cross_attention_cache.layers[self.number]
            keys, values = kept.keys, kept.values
        else:
            keys, values = attention.project(step.encoded)
            if cache is not None:
                keys, values = cache.cross_attention_cache.update(keys, values, self.number)
                cache.is_updated[self.number] = True
        return attention.attend(x, step.cross, keys, values)


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
        has_cross = is_decoder and config.is_encoder_decoder
        self.is_decoder = is_decoder
        specs = _of_blocks(spec, count)
        cross = _of_blocks(config.cross_attention, count) if has_cross else [None] * count
        owned: set[tuple[int, int]] = set()
        self.block = nn.ModuleList(
            Block(config, specs[i], cross[i], is_decoder, owned, i) for i in range(count)
        )
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
        own = _own_tokens(x, int(past), attention_mask, self.is_decoder, self.dropout)
        cross = None if encoded is None else _tokens_of_encoder(own, encoded, encoded_mask)
        step = Step(own, encoded, cross, self.dropout)
        x, states, attentions = self.dropout(x), [], []
        for block in self.block:
            states.append(x)
            x, weights = block(x, step, cache)
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
            elif name.startswith("tile_"):
                eye = torch.eye(weight.shape[1])
                weight.data.copy_(eye[torch.arange(weight.shape[0]) % weight.shape[1]])
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
