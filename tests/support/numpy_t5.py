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
        spec = self.config.get(f"{name}_attention") or {
            "num_heads": self.config["num_heads"],
            "d_kv": self.config["d_kv"],
            "synthesizer": {"kind": "dot_product"},
            "relative_attention": "bias_shared",
            "num_buckets": self.config["relative_attention_num_buckets"],
        }
        for block in range(depth):
            scope = f"{name}.block.{block}.layer"
            normed = self.norm(x, f"{scope}.0.layer_norm.weight")
            x = x + sum(
                _SelfAttention(self.weights, (name, block, group), each, name == "decoder")(normed)
                for group, each in _groups(spec)
            )
            if encoded is not None:
                y = self.norm(x, f"{scope}.1.layer_norm.weight")
                x = x + self.cross(f"{scope}.1.EncDecAttention", y, encoded, spec)
            last = f"{scope}.{1 if encoded is None else 2}"
            y = self.norm(x, f"{last}.layer_norm.weight")
            x = x + self.feed_forward(f"{last}.DenseReluDense", y)
        return self.norm(x, f"{name}.final_layer_norm.weight")

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

    def cross(
        self, scope: str, x: np.ndarray, encoded: np.ndarray, spec: dict[str, Any]
    ) -> np.ndarray:
        heads = (self.config.get("cross_attention") or spec)["num_heads"]
        q, k, v, o = (self.weights[f"{scope}.{part}.weight"] for part in "qkvo")
        outputs = []
        for query, key, value in zip(*(np.split(w, heads) for w in (q, k, v)), strict=True):
            weights = _softmax((x @ query.T) @ (encoded @ key.T).T)
            outputs.append(weights @ (encoded @ value.T))
        return np.concatenate(outputs, 1) @ o.T


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


class _SelfAttention:
    """softmax(S(X) + bias) W_V X W_O of one layer, or of a group of its heads."""

    def __init__(
        self,
        weights: dict[str, np.ndarray],
        place: tuple[str, int, str],
        spec: dict[str, Any],
        is_causal: bool,
    ):
        stack, block, group = place
        self.scope = f"{stack}.block.{block}.layer.0.SelfAttention{group}"
        self.weights, self.spec, self.is_causal = weights, spec, is_causal
        first = f"{stack}.block.0.layer.0.SelfAttention{group}.relative_attention_bias.weight"
        own = f"{self.scope}.relative_attention_bias.weight"
        kind = spec["relative_attention"]
        self.bias = {None: None, "bias": weights.get(own), "bias_shared": weights.get(first)}[kind]
        self.products = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        heads, self.products = [], 0
        values = np.split(self.weights[f"{self.scope}.v.weight"], self.spec["num_heads"])
        for head, value in enumerate(values):
            self.products = 0
            scores = self.synthesize(self.spec["synthesizer"], "synthesizer", x, head)
            for i, j in np.ndindex(scores.shape):
                if self.bias is not None:
                    scores[i, j] += self.bias[self.bucket(j - i), head]
                if self.is_causal and j > i:
                    scores[i, j] = -np.inf
            heads.append(_softmax(scores) @ (x @ value.T))
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

    def synthesize(self, spec: dict[str, Any], name: str, x: np.ndarray, head: int) -> np.ndarray:
        """S [query, key] of one head."""
        kind, length = spec["kind"], len(x)
        own = {
            key.removeprefix(f"{self.scope}.{name}."): value
            for key, value in self.weights.items()
            if key.startswith(f"{self.scope}.{name}.")
        }
        if kind in ("mixture", "sum"):
            terms = [
                self.synthesize(each, f"{name}.functions.{n}", x, head)
                for n, each in enumerate(spec["functions"])
            ]
            shares = _softmax(own["alpha"][head]) if kind == "mixture" else np.ones(len(terms))
            return sum(share * term for share, term in zip(shares, terms, strict=True))
        if kind == "dot_product":
            scope = f"{self.scope}.{name}" if self.products else self.scope
            self.products += 1
            return self.head(f"{scope}.q", x, head) @ self.head(f"{scope}.k", x, head).T
        if kind == "uniform":
            return np.zeros((length, length))
        size = spec["max_length"]
        if kind == "toeplitz":
            far = size - 1
            behind = [[np.clip(i - j, -far, far) for j in range(length)] for i in range(length)]
            return own["table"][head][np.array(behind) + far].astype(np.float64)
        p = [i % size if spec["tiles"] else i for i in range(length)]
        if kind in ("random", "fixed_random"):
            return own["table"][head][np.ix_(p, p)].astype(np.float64)
        if kind == "factorized_random":
            return own["r1"][head][p] @ own["r2"][head][p].T
        if spec["hidden_is_query"]:
            hidden = np.maximum(self.head(f"{self.scope}.q", x, head), 0)
        else:
            hidden = np.maximum(x @ own["w1"][:, head], 0)
        if kind == "dense":
            return hidden @ (own["w2"] if spec["shared_heads"] else own["w2"][head])[:, p]
        a, b = hidden @ own["wa"][head], hidden @ own["wb"][head]
        return np.stack([a[:, j % spec["a"]] * b[:, j // spec["a"]] for j in p], 1)

    def head(self, name: str, x: np.ndarray, head: int) -> np.ndarray:
        return x @ np.split(self.weights[f"{name}.weight"], self.spec["num_heads"])[head].T


def _softmax(scores: np.ndarray) -> np.ndarray:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
