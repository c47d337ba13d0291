"""Exported models computed by NumPy alone, from config.json and model.safetensors.

Written from the papers of T5 and of the Synthesizer, one example and one head at a time; shares no
code with the package or with the modelling file.
"""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import numpy as np
import safetensors.numpy


def logits(folder: pathlib.Path, inputs: np.ndarray | None, read: np.ndarray) -> np.ndarray:
    """Logits [batch, length, words] after each token that the decoder has read.

    Args:
      folder: of the exported model.
      inputs: int [batch, length] of the encoder, 0 for padding at the ends; None without one.
      read: int [batch, length] of the decoder.
    """
    model = _Model(folder)
    rows = []
    for number, tokens in enumerate(read):
        encoded = None
        if inputs is not None:
            encoded = model.stack("encoder", [t for t in inputs[number] if t], None)
        rows.append(model.head(model.stack("decoder", list(tokens), encoded)))
    return np.stack(rows)


class _Model:
    def __init__(self, folder: pathlib.Path):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = safetensors.numpy.load_file(folder / "model.safetensors")

    def head(self, x: np.ndarray) -> np.ndarray:
        if "lm_head.weight" in self.weights:
            return x @ self.weights["lm_head.weight"].T
        return x / math.sqrt(x.shape[1]) @ self.weights["shared.weight"].T

    def stack(self, name: str, tokens: list[int], encoded: np.ndarray | None) -> np.ndarray:
        x = self.weights["shared.weight"][tokens]
        depth = self.config["num_layers" if name == "encoder" else "num_decoder_layers"]
        specs = self.specs(f"{name}_attention", depth)
        crosses = self.specs("cross_attention", depth)
        for block in range(depth):
            scope = f"{name}.block.{block}.layer"
            normed = self.norm(x, f"{scope}.0.layer_norm.weight")
            place = f"{scope}.0.SelfAttention"
            x = x + self.attention(place, specs[block], normed, normed, name == "decoder")
            if encoded is not None:
                y = self.norm(x, f"{scope}.1.layer_norm.weight")
                place = f"{scope}.1.EncDecAttention"
                x = x + self.attention(place, crosses[block], y, encoded, False)
            last = f"{scope}.{1 if encoded is None else 2}"
            y = self.norm(x, f"{last}.layer_norm.weight")
            x = x + self.feed_forward(f"{last}.DenseReluDense", y)
        return self.norm(x, f"{name}.final_layer_norm.weight")

    def specs(self, name: str, depth: int) -> list[dict[str, Any]]:
        """Description of the attention of each block; T5's where the model has none."""
        found = self.config.get(name)
        if not found:
            found = (
                {"num_heads": self.config["num_heads"], "d_kv": self.config["d_kv"]}
                if (self.config["model_type"] == "t5")
                else {}
            )
        if isinstance(found, dict):
            found = [found] * depth
        bias = {"relative_attention": None}
        if name != "cross_attention" and self.config["model_type"] == "t5":
            count = self.config["relative_attention_num_buckets"]
            bias = {"relative_attention": "bias_shared", "num_buckets": count}
        return [{"synthesizer": {"kind": "dot_product"}, **bias, **spec} for spec in found]

    def attention(
        self, scope: str, spec: dict[str, Any], x: np.ndarray, memory: np.ndarray, is_causal: bool
    ) -> np.ndarray:
        return sum(
            _Attention(self.weights, scope, group, each, is_causal)(x, memory)
            for group, each in _groups(spec)
        )

    def norm(self, x: np.ndarray, scale: str) -> np.ndarray:
        mean = (x * x).mean(1, keepdims=True)
        return x / np.sqrt(mean + self.config["layer_norm_epsilon"]) * self.weights[scale]

    def feed_forward(self, scope: str, x: np.ndarray) -> np.ndarray:
        if self.config["feed_forward_proj"] == "relu":
            hidden = np.maximum(x @ self.weights[f"{scope}.wi.weight"].T, 0)
        else:
            z = x @ self.weights[f"{scope}.wi_0.weight"].T
            gelu = z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
            hidden = gelu * (x @ self.weights[f"{scope}.wi_1.weight"].T)
        return hidden @ self.weights[f"{scope}.wo.weight"].T


def _groups(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and description of each group of heads; one without a name of all heads."""
    functions = spec["synthesizer"]
    if functions["kind"] != "heads":
        return [("", spec)]
    parts = zip(functions["functions"], functions["sizes"], strict=True)
    return [
        (f".groups.{number}", {**spec, "num_heads": size, "synthesizer": function})
        for number, (function, size) in enumerate(parts)
    ]


class _Attention:
    """softmax(S(X) + bias) W_V M W_O of one layer, or of a group of its heads."""

    def __init__(
        self,
        weights: dict[str, np.ndarray],
        layer: str,
        group: str,
        spec: dict[str, Any],
        is_causal: bool,
    ):
        self.scope = f"{layer}{group}"
        self.weights, self.spec, self.is_causal = weights, spec, is_causal
        self.bias = self.find_bias(layer, group) if spec["relative_attention"] else None
        self.products = 0

    def find_bias(self, layer: str, group: str) -> np.ndarray:
        """The layer's own bias, or that of the nearest block before that owns one."""
        stack, _, rest = layer.partition(".block.")
        block, _, name = rest.partition(".")
        blocks = range(int(block), -1, -1)
        names = [f"{stack}.block.{n}.{name}{group}.relative_attention_bias.weight" for n in blocks]
        return next(self.weights[each] for each in names if each in self.weights)

    def __call__(self, x: np.ndarray, memory: np.ndarray) -> np.ndarray:
        heads = []
        values = np.split(self.weights[f"{self.scope}.v.weight"], self.spec["num_heads"])
        for head, value in enumerate(values):
            self.products = 0
            scores = self.synthesize(self.spec["synthesizer"], "synthesizer", (x, memory), head)
            for i, j in np.ndindex(scores.shape):
                if self.bias is not None:
                    scores[i, j] += self.bias[self.bucket(j - i), head]
                if self.is_causal and j > i:
                    scores[i, j] = -np.inf
            heads.append(_softmax(scores) @ (memory @ value.T))
        return np.concatenate(heads, 1) @ self.weights[f"{self.scope}.o.weight"].T

    def bucket(self, distance: int) -> int:
        """Half of the buckets hold one distance each, the others reach to 128."""
        count, base = self.spec["num_buckets"], 0
        if not self.is_causal:
            count //= 2
            base = count if distance > 0 else 0
            distance = abs(distance)
        else:
            distance = max(-distance, 0)
        exact = count // 2
        if distance < exact:
            return base + distance
        share = math.log(distance / exact) / math.log(128 / exact)
        return base + min(exact + int(share * (count - exact)), count - 1)

    def synthesize(
        self, spec: dict[str, Any], name: str, tokens: tuple[np.ndarray, np.ndarray], head: int
    ) -> np.ndarray:
        """S [query, key] of one head; tokens are those of queries and of keys."""
        kind, (x, memory) = spec["kind"], tokens
        shape = (len(x), len(memory))
        own = {
            key.removeprefix(f"{self.scope}.{name}."): value
            for key, value in self.weights.items()
            if key.startswith(f"{self.scope}.{name}.")
        }
        if kind in ("mixture", "sum"):
            terms = [
                self.synthesize(each, f"{name}.functions.{n}", tokens, head)
                for n, each in enumerate(spec["functions"])
            ]
            shares = _softmax(own["alpha"][head]) if kind == "mixture" else np.ones(len(terms))
            return sum(share * term for share, term in zip(shares, terms, strict=True))
        if kind == "dot_product":
            scope = f"{self.scope}.{name}" if self.products else self.scope
            self.products += 1
            return self.head(f"{scope}.q", x, head) @ self.head(f"{scope}.k", memory, head).T
        if kind == "uniform":
            return np.zeros(shape)
        size = spec["max_length"]
        if kind == "toeplitz":
            far = size - 1
            behind = np.subtract.outer(np.arange(shape[0]), np.arange(shape[1]))
            return own["table"][head][np.clip(behind, -far, far) + far].astype(np.float64)
        of_queries = _rows(spec, own.get("tile_query_position"), shape[0])
        of_keys = _rows(spec, own.get("tile_key_position"), shape[1])
        if kind == "banded_random":
            table = of_queries @ own["table"][head]
            scores = np.full(shape, -1e9)
            for i, j in np.ndindex(shape):
                if abs(j - i) <= spec["width"]:
                    scores[i, j] = table[i, j - i + spec["width"]]
            return scores
        if kind in ("random", "fixed_random"):
            return of_queries @ own["table"][head] @ of_keys.T
        if kind == "factorized_random":
            return (of_queries @ own["r1"][head]) @ (of_keys @ own["r2"][head]).T
        if spec["hidden_is_query"]:
            hidden = np.maximum(self.head(f"{self.scope}.q", x, head), 0)
        else:
            hidden = np.maximum(x @ own["w1"][:, head], 0)
        if kind == "dense":
            return hidden @ (own["w2"] if spec["shared_heads"] else own["w2"][head]) @ of_keys.T
        a, b = hidden @ own["wa"][head], hidden @ own["wb"][head]
        whole = [a[:, j % spec["a"]] * b[:, j // spec["a"]] for j in range(size)]
        return np.stack(whole, 1) @ of_keys.T

    def head(self, name: str, x: np.ndarray, head: int) -> np.ndarray:
        return x @ np.split(self.weights[f"{name}.weight"], self.spec["num_heads"])[head].T


def _rows(spec: dict[str, Any], tile: np.ndarray | None, count: int) -> np.ndarray:
    """Shares [position, row] of a table's rows in the row of each position."""
    size, length = spec["max_length"], spec.get("stretched_to")
    if tile is not None:
        return tile[:count]
    shares = np.zeros((count, size))
    for p in range(count):
        if length is None:
            shares[p, p % size if spec["tiles"] else p] = 1
            continue
        place = p * (size - 1) / (length - 1)
        below = math.floor(place)
        shares[p, below] += 1 - (place - below)
        if place > below:
            shares[p, below + 1] += place - below
    return shares


def _softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
