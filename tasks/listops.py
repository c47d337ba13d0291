"""ListOps by the rules of the Long Range Arena: nested lists of digits, one digit as the result.

    _ [MAX 2 9 [MIN 4 7 ] 0 ]          9

An expression is a digit with probability 3/4, else a list of 2 to 10 expressions under one of four
operators: minimum, maximum, median (rounded down) and sum modulo 10. At depth 10 every expression
is a digit. Expressions outside the allowed lengths are drawn again. The Long Range Arena adds
brackets for its binary trees, which carry no information. They are left out here, as in its length
counts. https://arxiv.org/abs/2011.04006
"""

import dataclasses
import random
import statistics
from collections.abc import Callable, Mapping, Sequence

from mtf_synthesizer.tasks.synthetic_problems import Question
from mtf_synthesizer.tasks.synthetic_symbols import BLANK, CLOSE, DIGITS

LIST_PROBABILITY = 0.25
DEPTH = 10
ARGUMENTS = (2, 10)

OPERATIONS: Mapping[str, Callable[[Sequence[int]], int]] = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(statistics.median(values)),
    "[SM": lambda values: sum(values) % 10,
}
_NAMES = tuple(OPERATIONS)


class _TooLong(Exception):
    """The drawn expression has reached the maximal length."""


@dataclasses.dataclass(frozen=True)
class ListOps:
    """Generator of expressions with more symbols than `above` and fewer than `below`."""

    above: int
    below: int

    def __call__(self, draw: random.Random) -> Question:
        """Draw an expression after a blank for its result."""
        while True:
            symbols = [BLANK]
            try:
                result = self._expression(draw, 1, symbols, 0)
            except _TooLong:
                continue
            if len(symbols) - 1 > self.above:
                return Question(tuple(symbols), (DIGITS[result],))

    def _expression(
        self, draw: random.Random, depth: int, symbols: list[str], following: int
    ) -> int:
        """Append an expression to `symbols`.

        Args:
          draw: source of random numbers.
          depth: depth of the expression, from 1.
          symbols: a blank and the symbols before the expression.
          following: number of symbols that must at least follow the expression.

        Returns:
          The value of the expression.

        Raises:
          _TooLong: the row would become too long.
        """
        if depth == DEPTH or draw.random() > LIST_PROBABILITY:
            value = int(10 * draw.random())  # half the time of randrange, as in the lines below
            symbols.append(DIGITS[value])
            return value
        operator = _NAMES[int(len(_NAMES) * draw.random())]
        number = ARGUMENTS[0] + int((ARGUMENTS[1] - ARGUMENTS[0] + 1) * draw.random())
        symbols.append(operator)
        if len(symbols) - 1 + number + 1 + following >= self.below:  # each argument has a symbol
            raise _TooLong
        values = [
            self._expression(draw, depth + 1, symbols, number - place + following)
            for place in range(number)
        ]
        symbols.append(CLOSE)
        return OPERATIONS[operator](values)


short = ListOps(above=50, below=200)
full = ListOps(above=500, below=2000)
