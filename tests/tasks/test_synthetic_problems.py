"""Synthetic questions are answered here by other means than those that made them."""

import collections
import random
import statistics

import pytest

from mtf_synthesizer.tasks import listops
from mtf_synthesizer.tasks import synthetic_problems as problems
from mtf_synthesizer.tasks.synthetic_symbols import LETTERS

NUMBER = 150


def drawn(ask, number=NUMBER):
    """Pairs of the row as text, and the answers as text."""
    questions = (ask(random.Random(seed)) for seed in range(number))
    return [(" ".join(each.symbols), " ".join(each.answers)) for each in questions]


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (problems.copy, lambda word: word),
        (problems.reverse, lambda word: "".join(reversed(word))),
        (problems.shift, lambda word: (word + word)[1 : len(word) + 1]),
        (problems.sort, lambda word: "".join(c * word.count(c) for c in map(chr, range(97, 123)))),
    ],
)
def test_letters(ask, answer):
    words = set()
    for row, answers in drawn(ask):
        word, blanks = row.replace(" ", "")[:16], row.replace(" ", "")[16:]
        assert blanks == "_" * 16
        assert answers.replace(" ", "") == answer(word)
        words.add(word)
    assert len(words) == NUMBER
    assert set("".join(words)) == set(LETTERS)


def test_majority():
    lengths = set()
    for row, answer in drawn(problems.majority):
        blank, *votes = row.split()
        assert blank == "_"
        assert statistics.multimode(votes) == [answer]
        lengths.add(len(votes))
    assert min(lengths) == 20
    assert max(lengths) == 40


def test_lookup():
    places = set()
    for row, answer in drawn(problems.lookup):
        *letters, number, blank = row.split()
        assert blank == "_"
        assert len(letters) == 16
        assert set(letters) <= set(LETTERS)
        place = int(number.removeprefix("k"))
        assert letters[place] == answer
        places.add(place)
    assert places == set(range(16))


def test_induction():
    places = set()
    for row, answer in drawn(problems.induction):
        text = row.replace(" ", "")
        asked = text[-2]
        assert text.endswith(f"{asked}_")
        assert text.count(asked) == 2
        assert text[text.index(asked) + 1] == answer != asked
        places.add(text.index(asked))
    assert {min(places), max(places)} == {0, 28}


def test_recall():
    gaps = collections.Counter()
    for row, answers in drawn(problems.recall):
        pairs, queries = (part.split() for part in row.split("|"))
        value_of = dict(zip(pairs[::2], pairs[1::2], strict=True))
        asked = [
            key for key, blank in zip(queries[::2], queries[1::2], strict=True) if blank == "_"
        ]
        others = [symbol for symbol in queries if symbol not in value_of and symbol != "_"]
        assert len(pairs) + len(queries) == 64
        assert len(value_of) == len(set(value_of.values())) == 8
        assert sorted(asked) == sorted(value_of)
        assert [value_of[key] for key in asked] == answers.split()
        assert set(others) <= set(LETTERS)
        gaps.update(place for place, symbol in enumerate(queries[1::2]) if symbol == "_")
    # With the weights 1, 1/2, 1/3, ... the first place is nearly always taken, the last seldom.
    assert gaps[0] > 0.9 * NUMBER
    assert gaps[1] > gaps[3] > gaps[9] > 0
    assert gaps[23] < 0.35 * NUMBER


def test_dyck():
    depths = set()
    for row, answers in drawn(problems.dyck):
        text, closing = row.replace(" ", ""), iter(answers.split())
        filled = "".join(next(closing) if symbol == "_" else symbol for symbol in text)
        assert next(closing, None) is None
        assert 16 <= len(filled) <= 32
        depths.add(max(_depth(filled[:end]) for end in range(len(filled))))
        while (shorter := _without_pairs(filled)) != filled:
            filled = shorter
        assert filled == ""
    assert min(depths) <= 3
    assert max(depths) >= 7


def _depth(text):
    return sum(text.count(opening) for opening in "(<{") - sum(text.count(c) for c in ")>}")


def _without_pairs(text):
    return text.replace("()", "").replace("<>", "").replace("{}", "")


def test_balanced_words_are_uniform():
    """The five words of three pairs, each as often as the others."""
    counts = collections.Counter(
        "".join("(" if opens else ")" for opens in problems._balanced(random.Random(seed), 3))
        for seed in range(5000)
    )
    assert set(counts) == {"((()))", "(()())", "(())()", "()(())", "()()()"}
    assert min(counts.values()) > 900
    assert max(counts.values()) < 1100


def test_addition():
    carries = 0
    for row, answers in drawn(problems.addition):
        text = row.replace(" ", "")
        left, right = text[:4], text[5:9]
        assert text == f"{left}+{right}=_____"
        assert int(answers.replace(" ", "")) == int(left) + int(right)
        assert len(answers.split()) == 5
        carries += answers[0] == "1"
    assert 50 < carries < 100


def value(tokens):
    """A recursive parser of ListOps: removes an expression from the front and returns its value."""
    token = tokens.pop(0)
    if token.isdigit():
        return int(token)
    arguments = []
    while tokens[0] != "]":
        arguments.append(value(tokens))
    tokens.pop(0)
    assert 2 <= len(arguments) <= 10
    ordered = sorted(arguments)
    middle = ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]
    return {
        "[MIN": ordered[0],
        "[MAX": ordered[-1],
        "[MED": middle // 2,
        "[SM": sum(arguments) % 10,
    }[token]


def depth(tokens):
    deepest = level = 0
    for token in tokens:
        level += token.startswith("[") - (token == "]")
        deepest = max(deepest, level)
    return deepest


@pytest.mark.parametrize(
    ("ask", "above", "below", "number"),
    [(listops.short, 50, 200, 100), (listops.full, 500, 2000, 20)],
)
def test_listops(ask, above, below, number):
    depths, operators = set(), collections.Counter()
    for row, answer in drawn(ask, number):
        blank, *tokens = row.split()
        assert blank == "_"
        assert above < len(tokens) < below
        depths.add(depth(tokens))
        operators.update(token for token in tokens if token.startswith("["))
        assert value(tokens) == int(answer)
        assert not tokens
    assert max(depths) <= 9  # at depth 10 there are only digits
    assert max(depths) >= 6
    assert min(operators.values()) > 0.8 * max(operators.values())


def test_lengths_of_listops_are_limits_and_no_more():
    """Drawn without limits and then chosen, lists have the same lengths on average."""
    within = listops.ListOps(above=2, below=30)
    chosen = [len(within(random.Random(seed)).symbols) - 1 for seed in range(1500)]
    draw = random.Random(0)
    free = [size for size in (_size(draw, 1) for _ in range(16_000)) if 2 < size < 30]
    assert {min(chosen), max(chosen)} == {min(free), max(free)} == {4, 29}
    assert statistics.fmean(chosen) == pytest.approx(statistics.fmean(free), rel=0.04)


def _size(draw, level):
    """The length of a list by the rules of the Long Range Arena, nothing else; at most 10,000."""
    if level == 10 or draw.random() > 0.25:
        return 1
    size = 2
    for _ in range(draw.randint(2, 10)):
        size += _size(draw, level + 1)
        if size > 30:
            return 10_000
    return size
