"""Inputs with the targets that a model is to score, from text files; no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from mtf_synthesizer import errors


@dataclasses.dataclass(frozen=True)
class GivenTargets:
    """Inputs and one target or several options.

    Attributes:
      line: number of the line in its file, from 1.
      inputs: None for a text that a language model scores as a whole.
      targets: at least one.
    """

    line: int
    inputs: str | None
    targets: tuple[str, ...]


def read_table(lines: Iterable[str], options: Sequence[str]) -> list[GivenTargets]:
    """Read lines of inputs and targets, separated by tabs.

    Args:
      lines: a line may have one column, a text; two, inputs and a target; or more, inputs and
        options.
      options: targets of every line, which then has inputs alone.

    Raises:
      errors.UserError: no lines, an empty line, or more columns than asked for.
    """
    questions = []
    for number, line in enumerate(lines, 1):
        columns = line.split("\t")
        if options and len(columns) > 1:
            raise errors.UserError(
                f"--input, line {number}: {len(columns)} columns with --options. Leave the inputs "
                "alone in each line, or leave --options out"
            )
        questions.append(_question(number, columns, options))
    if not questions:
        raise errors.UserError("--input has no lines to score. Give one pair in each line")
    return questions


def _question(number: int, columns: list[str], options: Sequence[str]) -> GivenTargets:
    if not any(columns):
        raise errors.UserError(f"--input, line {number}: it is empty. Remove the line")
    if options:
        return GivenTargets(number, columns[0], tuple(options))
    if len(columns) == 1:
        return GivenTargets(number, None, (columns[0],))
    return GivenTargets(number, columns[0], tuple(columns[1:]))


def read_two(inputs: Iterable[str], targets: Iterable[str]) -> list[GivenTargets]:
    """Pair the lines of two files.

    Raises:
      errors.UserError: one file has more lines, or both have none.
    """
    left, right = list(inputs), list(targets)
    if len(left) != len(right) or not left:
        raise errors.UserError(
            f"--input has {len(left)} lines and --targets {len(right)}. Give files with as many "
            "lines, one target for each input"
        )
    pairs = zip(left, right, strict=True)
    return [GivenTargets(n, text, (target,)) for n, (text, target) in enumerate(pairs, 1)]
