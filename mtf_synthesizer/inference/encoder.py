"""The conversion of a text to the tokens that a model reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import EOS

# Ids after a text, by the type of model: a language model continues a text without EOS.
_ENDS: Mapping[str, list[int]] = {
    "bitransformer": [EOS],
    "delimited_lm": [EOS],
    "lm": [],
}


@dataclasses.dataclass(frozen=True)
class Encoder:
    """The conversion of a text to tokens.

    Attributes:
      vocabulary: vocabulary of the inputs.
      ends: ids after the text.
      limit: largest number of tokens, ends included.
    """

    vocabulary: Any
    ends: Sequence[int]
    limit: int

    @classmethod
    def of(cls, model: Model) -> Encoder:
        """Return the encoder of a model.

        Raises:
          errors.UserError: a type of model that reads no lines of text.
        """
        errors.check("type of model for --input", model.model_type, _ENDS)
        vocabulary = utils.inputs_vocabulary(model.vocabulary)
        return cls(vocabulary, _ENDS[model.model_type], model.sequence_length["inputs"])

    def ids(self, text: str) -> list[int]:
        """Return all tokens of a text."""
        return [*self.vocabulary.encode(text), *self.ends]

    def cut(self, ids: Sequence[int], length: int | None = None) -> list[int]:
        """Cut tokens to a length, the limit unless given, and keep the ends."""
        length = self.limit if length is None else length
        return [*ids] if len(ids) <= length else [*ids[: length - len(self.ends)], *self.ends]

    def row(self, text: str, length: int) -> np.ndarray:
        """Return int32 [length]: the tokens, cut or filled with 0."""
        ids = self.cut(self.ids(text), length)
        return np.array(ids + [0] * (length - len(ids)), np.int32)
