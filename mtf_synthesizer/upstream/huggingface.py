"""Names of T5's variables: Mesh-TensorFlow's, and those of PyTorch models at Hugging Face."""

from __future__ import annotations

import dataclasses
import re

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
# PyTorch's linear layers hold [out, in], Mesh's [in, out]; embeddings are the same in both.
_STACK = r"(?P<stack>encoder|decoder|transformer)"
_LAYER = rf"{_STACK}/block_(?P<block>\d{{3,}})/layer_(?P<layer>\d{{3,}})"
_RULES = tuple(
    (re.compile(pattern), name, transposed)
    for pattern, name, transposed in (
        (r"(?:shared|transformer)/embedding", "shared.weight", False),
        (rf"{_STACK}/logits/kernel", "lm_head.weight", True),
        (
            rf"{_STACK}/(?:rms_norm|final_layer_norm)/scale",
            "{stack}.final_layer_norm.weight",
            False,
        ),
        (
            rf"{_LAYER}/(?:rms_norm|layer_norm)/scale",
            "{stack}.block.{block}.layer.{layer}.layer_norm.weight",
            False,
        ),
        (
            rf"{_LAYER}/(?:Self|Synthetic)Attention/(?P<part>[qkvo])",
            "{stack}.block.{block}.layer.{layer}.SelfAttention.{part}.weight",
            True,
        ),
        (
            rf"{_LAYER}/(?:Self|Synthetic)Attention/relative_attention_bias",
            "{stack}.block.{block}.layer.{layer}.SelfAttention.relative_attention_bias.weight",
            True,
        ),
        (
            rf"{_LAYER}/EncDecAttention/(?P<part>[qkvo])",
            "{stack}.block.{block}.layer.{layer}.EncDecAttention.{part}.weight",
            True,
        ),
        (
            rf"{_LAYER}/DenseReluDense/(?P<part>wi|wi_0|wi_1|wo)/kernel",
            "{stack}.block.{block}.layer.{layer}.DenseReluDense.{part}.weight",
            True,
        ),
    )
)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """The tensor that holds a variable.

    Attributes:
      name: name of the tensor.
      transposed: whether its two axes are those of the variable in the other order.
    """

    name: str
    transposed: bool


def tensor(variable: str) -> Tensor | None:
    """Return the tensor of a variable of Mesh's; None for a variable that T5 does not have."""
    for pattern, name, transposed in _RULES:
        if match := pattern.fullmatch(variable):
            return Tensor(name.format(**_parts(match)), transposed)
    return None


def _parts(match: re.Match[str]) -> dict[str, str]:
    parts = match.groupdict()
    if "stack" in parts:  # a model with one stack is a decoder
        parts["stack"] = parts["stack"].replace("transformer", "decoder")
    return parts | {key: str(int(parts[key])) for key in ("block", "layer") if key in parts}
