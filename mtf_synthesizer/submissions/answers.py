"""What a decoded text means to a leaderboard."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtf_synthesizer.data import decimals

Value = str | int | float


class Answer(NamedTuple):
    """What is submitted for an example.

    Attributes:
      value: as the server wants it.
      is_clipped: whether the decoded number was outside of the allowed range.
    """

    value: Value
    is_clipped: bool = False


class Answers(abc.ABC):
    """What may be submitted for the examples of a task."""

    @abc.abstractmethod
    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        """The answer in a prediction; None if what was decoded is no answer."""

    @abc.abstractmethod
    def named(self, text: str) -> Value | None:
        """The answer a user means by a text, decoded or official; None if there is none."""

    @property
    @abc.abstractmethod
    def allowed(self) -> str:
        """The allowed texts, for messages."""


@dataclasses.dataclass(frozen=True)
class Labels(Answers):
    """The decoded text is a label.

    Attributes:
      official: label as the model decodes it -> as the server wants it.
    """

    official: Mapping[str, Value]

    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        label = fields["output"].strip()
        return Answer(self.official[label]) if label in self.official else None

    def named(self, text: str) -> Value | None:
        by_text = {str(value): value for value in self.official.values()} | dict(self.official)
        return by_text.get(text)

    @property
    def allowed(self) -> str:
        return ", ".join(self.official)


@dataclasses.dataclass(frozen=True)
class Referents(Labels):
    """The decoded text is what a pronoun refers to; T5's postprocessor compares it with a noun.

    Attributes:
      official: first for something else, then for the noun.
    """

    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        verdict = fields.get("prediction")  # 0, 1, or -1 where nothing was decoded
        if type(verdict) is not int or verdict not in (0, 1):
            return None
        return Answer(tuple(self.official.values())[verdict])


@dataclasses.dataclass(frozen=True)
class Number(Answers):
    """The decoded text is a number; one outside of the range is clipped, as servers refuse it."""

    low: float
    high: float

    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        number = decimals.parse(fields["output"], None)
        if number is None or not math.isfinite(number):
            return None
        clipped = float(min(max(number, self.low), self.high))
        return Answer(clipped, clipped != number)

    def named(self, text: str) -> Value | None:
        number = decimals.parse(text, None)
        return number if number is not None and self.low <= number <= self.high else None

    @property
    def allowed(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclasses.dataclass(frozen=True)
class TextAnswers(Answers):
    """Any text is an answer."""

    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        return Answer(fields["output"])

    def named(self, text: str) -> Value | None:
        return None

    @property
    def allowed(self) -> str:
        return "any text"
