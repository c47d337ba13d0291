"""Unknown tokens: parts of a text that the vocabulary has no piece for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np

from mtf_synthesizer.upstream.examples import ExampleSet

_NAMED = 5  # numbers of rows in a message


@dataclasses.dataclass(frozen=True)
class Unknown:
    """Number of unknown tokens.

    Attributes:
      tokens: their number.
      rows: numbers of the rows that have any, from 1.
    """

    tokens: int = 0
    rows: Sequence[int] = ()

    def __add__(self, other: Unknown) -> Unknown:
        return Unknown(self.tokens + other.tokens, [*self.rows, *other.rows])

    def describe(self, row: str) -> str:
        """Return a sentence that names the first rows; empty without unknown tokens."""
        if not self.tokens:
            return ""
        shown = ", ".join(map(str, self.rows[:_NAMED]))
        more = len(self.rows) - _NAMED
        return (
            f"unknown tokens: {self.tokens}, in {len(self.rows)} "
            f"{row}{'s' if len(self.rows) > 1 else ''} ({row} {shown}"
            f"{f' and {more} more' if more > 0 else ''})"
        )


def count(ids: Iterable[int], vocabulary: Any) -> int:
    """Return the number of unknown tokens among ids."""
    return int(np.sum(np.asarray(list(ids), np.int64) == vocabulary.unk_id))


def of_examples(examples: ExampleSet) -> Unknown:
    """Count the unknown tokens in the inputs of examples."""
    vocabulary = examples.task.output_features["inputs"].vocabulary
    counts = [count(row["inputs"], vocabulary) for row in examples.rows]
    return Unknown(sum(counts), [number for number, missing in enumerate(counts, 1) if missing])
