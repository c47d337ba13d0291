"""Modes of an exported model: the function that its signature computes. Loads no TensorFlow."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

RECORD = "mtf_synthesizer.json"


@dataclasses.dataclass(frozen=True)
class Mode(abc.ABC):
    """A function of an exported model.

    Attributes:
      gin_files: T5's gin files for the decoding.
      model_types: Mesh's types of models that can read texts in this mode.
      token_model_types: types of models that can read token ids in this mode.
      scores_targets: whether the function scores given targets instead of decoding.
    """

    gin_files: tuple[str, ...]
    model_types: tuple[str, ...]
    token_model_types: tuple[str, ...]
    scores_targets: ClassVar[bool]

    @abc.abstractmethod
    def features(self, model_type: str) -> list[str]:
        """Return the features that the signature reads, as in T5's export."""


class DecodingMode(Mode):
    """Decode inputs."""

    scores_targets = False

    def features(self, model_type: str) -> list[str]:
        del model_type
        return ["inputs"]


class ScoringMode(Mode):
    """Compute the log-likelihood of given targets."""

    scores_targets = True

    def features(self, model_type: str) -> list[str]:
        return ["targets"] if model_type == "lm" else ["inputs", "targets"]


_WITH_EOS = ("bitransformer", "delimited_lm", "aligned")
_SCORED = ("bitransformer", "delimited_lm", "lm")
_ENCODER_DECODER = ("bitransformer",)
# T5's export ends each text with EOS, so a language model could not continue the text. Token ids
# get no EOS, so a language model can decode from token ids.
MODES: Mapping[str, Mode] = {
    "greedy": DecodingMode(("greedy_decode.gin",), _WITH_EOS, (*_WITH_EOS, "lm")),
    "beam": DecodingMode(("beam_search.gin",), _ENCODER_DECODER, _ENCODER_DECODER),
    "score": ScoringMode((), _SCORED, _SCORED),
}
