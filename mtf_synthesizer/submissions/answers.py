"""Answers of a leaderboard in decoded texts."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mtf_synthesizer.data import decimals

Value = str | int | float


class Answer(NamedTuple):
    """Submitted answer for an example.

    Attributes:
      value: the answer in the server's form.
      is_clipped: whether the decoded number was outside the allowed range.
    """

    value: Value
    is_clipped: bool = False


class Answers(abc.ABC):
    """Allowed answers for the examples of a task."""

    @abc.abstractmethod
    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        """Return the answer in a prediction; None if the decoded text is not an answer."""

    @abc.abstractmethod
    def named(self, text: str) -> Value | None:
        """Return the answer that a user names, as decoded or official text; None if unknown."""

    @property
    @abc.abstractmethod
    def allowed(self) -> str:
        """Allowed texts, for messages."""


@dataclasses.dataclass(frozen=True)
class Labels(Answers):
    """Labels as answers.

    Attributes:
      official: label as the model decodes it -> answer in the server's form.
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
    """Referents of a pronoun as answers, which T5's postprocessor compares with a noun.

    Attributes:
      official: first the answer for another referent, then the answer for the noun.
    """

    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        verdict = fields.get("prediction")  # 0, 1, or -1 if nothing was decoded
        if type(verdict) is not int or verdict not in (0, 1):
            return None
        return Answer(tuple(self.official.values())[verdict])


@dataclasses.dataclass(frozen=True)
class Number(Answers):
    """Numbers as answers; a number outside the range is clipped, because servers refuse it."""

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
    """Any text as answer."""

    def read(self, fields: Mapping[str, Any]) -> Answer | None:
        return Answer(fields["output"])

    def named(self, text: str) -> Value | None:
        return None

    @property
    def allowed(self) -> str:
        return "any text"
