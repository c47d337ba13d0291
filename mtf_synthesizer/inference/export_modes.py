"""The modes of an exported model: what its signature reads and writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

RECORD = "mtf_synthesizer.json"


@dataclasses.dataclass(frozen=True)
class Mode:
    """A way to use a model.

    Attributes:
      gin_files: T5's, of the way to decode.
      scores: whether it scores given targets instead of writing its own.
      model_types: Mesh's types of models that have it.
    """

    gin_files: tuple[str, ...]
    scores: bool
    model_types: tuple[str, ...]

    @property
    def token_model_types(self) -> tuple[str, ...]:
        """Types of models that can read ids; no EOS is added to a language model's prefix."""
        return self.model_types if "beam" in str(self.gin_files) else (*self.model_types, "lm")


# T5's export ends every text with EOS, so a language model could not continue a text.
MODES: Mapping[str, Mode] = {
    "greedy": Mode(("greedy_decode.gin",), False, ("bitransformer", "delimited_lm", "aligned")),
    "beam": Mode(("beam_search.gin",), False, ("bitransformer",)),
    "score": Mode((), True, ("bitransformer", "delimited_lm", "lm")),
}
