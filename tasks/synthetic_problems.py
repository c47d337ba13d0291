"""Random questions with one right answer: copy, sort, recall, brackets, addition.

A question is a row of symbols with blanks, and an answer for each blank:

    copy       d a c _ _ _                     d a c
    reverse    d a c _ _ _                     c a d
    shift      d a c _ _ _                     a c d
    sort       d a c _ _ _                     a c d
    majority   _ a c a                         a
    lookup     d a c b k2 _                    c
    induction  d a c b a _                     c
    recall     k3 v7 k1 v2 | d b k1 _ k3 _     v2 v7
    dyck       ( < _ _ { _                     > ) }
    addition   0 7 + 4 5 = _ _ _               0 5 2

The lengths above are examples. Copy, reverse, shift, sort and addition have fixed lengths, so the
position of a blank determines which symbols it depends on.
"""

import dataclasses
import itertools
import random
from collections import Counter
from collections.abc import Sequence

from mtf_synthesizer.tasks.synthetic_symbols import (
    BAR,
    BLANK,
    BRACKETS,
    KEYS,
    LETTERS,
    VALUES,
)

LETTERS_IN_A_ROW = 16  # of copy, reverse, shift and sort
VOTES = (20, 40)  # fewest and most letters of majority
CANDIDATES = LETTERS[:4]
LOOKUP_LETTERS = 16
INDUCTION_LETTERS = 30
PAIRS = 8  # of recall
RECALL_LENGTH = 64  # pairs and queries, without the bar
# Gaps between a pair and its query follow a power law in Zoology: the n-th place has the weight
# n ** (RECALL_POWER - 1).
RECALL_POWER = 0.01
DYCK_PAIRS = (8, 16)
DIGITS_IN_A_NUMBER = 4


@dataclasses.dataclass(frozen=True)
class Question:
    """A row with blanks.

    Attributes:
      symbols: the row; each `BLANK` asks for one symbol.
      answers: one symbol for each blank, in their order.
    """

    symbols: tuple[str, ...]
    answers: tuple[str, ...]


def copy(draw: random.Random) -> Question:
    """Draw letters, then ask for the same letters."""
    letters = _letters(draw)
    return _with_blanks_behind(letters, letters)


def reverse(draw: random.Random) -> Question:
    """Draw letters, then ask for the same letters from the last to the first."""
    letters = _letters(draw)
    return _with_blanks_behind(letters, letters[::-1])


def shift(draw: random.Random) -> Question:
    """Draw letters, then ask for the same letters with the first moved to the end."""
    letters = _letters(draw)
    return _with_blanks_behind(letters, [*letters[1:], letters[0]])


def sort(draw: random.Random) -> Question:
    """Draw letters, then ask for the same letters in alphabetical order."""
    letters = _letters(draw)
    return _with_blanks_behind(letters, sorted(letters))


def majority(draw: random.Random) -> Question:
    """Draw a majority question: the most frequent of four letters, always a single one."""
    while True:
        votes = draw.choices(CANDIDATES, k=draw.randint(*VOTES))
        (winner, most), (_, second) = [*Counter(votes).most_common(2), ("", 0)][:2]
        if most > second:
            return Question((BLANK, *votes), (winner,))


def lookup(draw: random.Random) -> Question:
    """Draw letters and the number of a place, counted from 0; ask for the letter there."""
    letters = draw.choices(LETTERS, k=LOOKUP_LETTERS)
    place = draw.randrange(LOOKUP_LETTERS)
    return Question((*letters, KEYS[place], BLANK), (letters[place],))


def induction(draw: random.Random) -> Question:
    """Draw letters whose last letter occurred once before; ask for the letter that followed it.

    Olsson et al. 2022, https://arxiv.org/abs/2209.11895.
    """
    asked = draw.choice(LETTERS)
    others = [letter for letter in LETTERS if letter != asked]
    letters = draw.choices(others, k=INDUCTION_LETTERS)
    place = draw.randrange(INDUCTION_LETTERS - 1)
    letters[place] = asked
    return Question((*letters, asked, BLANK), (letters[place + 1],))


def recall(draw: random.Random) -> Question:
    """Draw multi-query associative recall: the value of each key, at power-law places.

    As in Zoology, https://arxiv.org/abs/2312.04927, every key is asked for once, with other symbols
    between the queries. Here these are letters, a key is followed by a blank, and keys and values
    have 32 symbols each, where Zoology has 4,096.
    """
    keys, values = draw.sample(KEYS, PAIRS), draw.sample(VALUES, PAIRS)
    places = _power_law_places(draw, RECALL_LENGTH // 2 - PAIRS, PAIRS)
    asked = dict(zip(places, zip(keys, values, strict=True), strict=True))
    symbols = [*itertools.chain(*zip(keys, values, strict=True)), BAR]
    for place in range(RECALL_LENGTH // 2 - PAIRS):
        symbols += [asked[place][0], BLANK] if place in asked else draw.choices(LETTERS, k=2)
    return Question(tuple(symbols), tuple(asked[place][1] for place in sorted(asked)))


def _power_law_places(draw: random.Random, places: int, number: int) -> Sequence[int]:
    """Draw places one after another without replacement, near ones more often than far ones."""
    free = list(range(places))
    chosen = []
    for _ in range(number):
        weights = [(place + 1) ** (RECALL_POWER - 1) for place in free]
        [place] = draw.choices(free, weights)
        free.remove(place)
        chosen.append(place)
    return chosen


def dyck(draw: random.Random) -> Question:
    """Draw balanced brackets of three kinds; ask for the closing brackets.

    The kinds of brackets are uniform, and all balanced words of a length are equally likely.
    """
    symbols, answers, stack = [], [], []
    for opens in _balanced(draw, draw.randint(*DYCK_PAIRS)):
        if opens:
            stack.append(draw.choice(list(BRACKETS)))
            symbols.append(stack[-1])
        else:
            symbols.append(BLANK)
            answers.append(BRACKETS[stack.pop()])
    return Question(tuple(symbols), tuple(answers))


def _balanced(draw: random.Random, pairs: int) -> Sequence[bool]:
    """Draw a balanced word of `pairs` opening (True) and closing brackets, uniformly.

    By the cycle lemma, exactly one rotation of a word with one extra opening bracket has more
    opening than closing brackets in each prefix. Without its first bracket that rotation is
    balanced.
    """
    word = [True] * (pairs + 1) + [False] * pairs
    draw.shuffle(word)
    heights = list(itertools.accumulate(1 if opens else -1 for opens in word))
    lowest = len(heights) - 1 - heights[::-1].index(min(heights))
    return [*word[lowest + 1 :], *word[: lowest + 1]][1:]


def addition(draw: random.Random) -> Question:
    """Draw two four-digit numbers with leading zeros; ask for their five-digit sum."""
    limit = 10**DIGITS_IN_A_NUMBER
    left, right = draw.randrange(limit), draw.randrange(limit)
    asked = f"{left:0{DIGITS_IN_A_NUMBER}}+{right:0{DIGITS_IN_A_NUMBER}}="
    return _with_blanks_behind(asked, f"{left + right:0{DIGITS_IN_A_NUMBER + 1}}")


def _letters(draw: random.Random) -> list[str]:
    return draw.choices(LETTERS, k=LETTERS_IN_A_ROW)


def _with_blanks_behind(asked: Sequence[str], answers: Sequence[str]) -> Question:
    return Question((*asked, *[BLANK] * len(answers)), tuple(answers))
