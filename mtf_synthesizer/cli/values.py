"""Parsers of the values of options: lists, numbers and shares."""

import argparse
import math
from collections.abc import Sequence
from typing import Any

from mtf_synthesizer.data import decimals
from mtf_synthesizer.files import paths


class Several(argparse.Action):
    """Collect values over all uses of an option; a value may hold several, with commas."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add the values behind the option."""
        texts = [values] if isinstance(values, str) else list(values or ())
        parts = [part for value in texts for part in _files(value)]
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or ()), *parts])


def _files(text: str) -> list[str]:
    """Parse a,b as [a, b]; a file or folder may have commas in its name, alone or in name=file."""
    if "," not in text or paths.of(text.partition("=")[2] or text).exists():
        return [text]
    parts = listed(text)
    return parts if len({"=" in part for part in parts}) == 1 else [text]


def listed(text: str) -> list[str]:
    """Parse a,b as [a, b], without duplicates; at least one name."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError(
            f"{text!r} is empty. Give one or more names, separated by commas"
        )
    return names


def numbers(text: str) -> list[int]:
    """Parse 0,1,2 as [0, 1, 2]."""
    parts = listed(text)
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers like 0,1,2")
    return [int(part) for part in parts]


def positive_numbers(text: str) -> list[int]:
    """Parse 1,3,5 as [1, 3, 5]; each number is above 0."""
    return [positive(part) for part in listed(text)]


def positive(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def positive_number(text: str) -> float:
    """Parse a number above 0."""
    value = decimals.parse(text, 0.0)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def device(text: str) -> str:
    """Parse auto, cpu, gpu or gpu:N."""
    kind, colon, number = text.partition(":")
    is_numbered = kind == "gpu" and number.isdecimal()
    if text not in ("auto", "cpu", "gpu") and not (colon and is_numbered):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not one of auto, cpu, gpu, gpu:0, gpu:1, ..."
        )
    return text


def share(text: str) -> float:
    """Parse a number in (0, 1]."""
    value = decimals.parse(text, 0.0)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number in (0, 1]")
    return value


def proper_share(text: str) -> float:
    """Parse a number in (0, 1)."""
    value = decimals.parse(text, 0.0)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number in (0, 1)")
    return value


def budget(text: str) -> float:
    """Parse minutes=10 as 10."""
    key, _, value = text.partition("=")
    minutes = decimals.parse(value, 0.0)
    if key.strip() != "minutes" or not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a budget like minutes=10")
    return minutes
