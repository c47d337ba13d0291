"""Scores on the synthetic tasks that a model reaches without attention, or with a fixed one.

A model has learned to attend to contents only where it does clearly better than all of these:

    own_position  It sees the position of its blank and nothing else: a model without attention.
    fixed_place   It sees one symbol, at a position that depends on the position of the blank only:
                  attention that doesn't depend on the row. The best position is chosen.
    neighbour     It sees the symbol before the blank: a window of two.
    counts        It sees how often each symbol occurs in the row: uniform attention.

Each answers with the most frequent answer to what it sees in the training split. `counts` answers
by a rule of the task, and has no score where no rule is known. All of these are one layer with one
head; several heads and layers of fixed attention can do more.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from mtf_synthesizer.tasks import metrics
from mtf_synthesizer.tasks import synthetic_symbols as symbols
from mtf_synthesizer.tasks.synthetic import Problem
from mtf_synthesizer.tasks.synthetic_problems import Question

Answers = tuple[str, ...]
# What a control sees of a question at one of its blanks, given the blank's position.
Sight = Callable[[Question, int], Hashable]
# Answers from the number of times that each symbol occurs, and the number of blanks.
Rule = Callable[[Counter[str], int], Answers]


def scores(
    problem: Problem, split: str = "test", questions: int = 1000, fitted_to: int = 5000
) -> dict[str, dict[str, float]]:
    """Exact match and accuracy of symbols of each control, in per cent.

    Args:
      problem: a task.
      split: split on which the controls are scored.
      questions: the number of questions to score, from the first one.
      fitted_to: the number of training questions that the controls learn from.
    """
    training = [problem.question("train", number) for number in range(fitted_to)]
    scored = [problem.question(split, number) for number in range(questions)]
    targets = [" ".join(question.answers) for question in scored]
    return {
        name: metrics.symbols_accuracy(targets, [" ".join(answer(question)) for question in scored])
        for name, answer in _controls(problem.name, training).items()
    }


def _controls(name: str, training: Sequence[Question]) -> dict[str, Callable[[Question], Answers]]:
    result = {
        "own_position": _most_frequent(training, lambda question, blank: blank),
        "fixed_place": _best_place(training),
        "neighbour": _most_frequent(training, _before),
    }
    if name in COUNTING:
        result["counts"] = _by_counting(COUNTING[name])
    return result


def blanks(question: Question) -> list[int]:
    """Positions of the blanks."""
    return [place for place, symbol in enumerate(question.symbols) if symbol == symbols.BLANK]


def _before(question: Question, blank: int) -> Hashable:
    return question.symbols[blank - 1] if blank else None


def _most_frequent(training: Sequence[Question], sight: Sight) -> Callable[[Question], Answers]:
    """Answers by the most frequent answer to what is seen; to unseen sights, by that to all."""
    seen: dict[Hashable, Counter[str]] = defaultdict(Counter)
    of_all: Counter[str] = Counter()
    for question in training:
        for blank, answer in zip(blanks(question), question.answers, strict=True):
            seen[sight(question, blank)][answer] += 1
            of_all[answer] += 1

    def answers_to(question: Question) -> Answers:
        counters = (seen.get(sight(question, blank), of_all) for blank in blanks(question))
        return tuple(counter.most_common(1)[0][0] for counter in counters)

    return answers_to


def _best_place(training: Sequence[Question]) -> Callable[[Question], Answers]:
    """Answers by one symbol: for each position of a blank, at the position that tells most."""
    longest = max(len(question.symbols) for question in training)
    rows: dict[int, list[np.ndarray]] = defaultdict(list)  # of rows and answer, by blank position
    for question in training:
        row = np.zeros(longest + 1, np.int64)
        row[: len(question.symbols)] = [symbols.IDS[symbol] for symbol in question.symbols]
        for blank, answer in zip(blanks(question), question.answers, strict=True):
            row[-1] = symbols.IDS[answer]
            rows[blank].append(row.copy())
    place_of = {blank: _telling_place(np.array(of_blank)) for blank, of_blank in rows.items()}

    def seen(question: Question, blank: int) -> Hashable:
        place = place_of.get(blank, blank)
        return blank, question.symbols[place] if place < len(question.symbols) else None

    return _most_frequent(training, seen)


def _telling_place(rows: np.ndarray) -> int:
    """The position whose symbol predicts the last one best; ids [rows, length + 1]."""
    size = len(symbols.SYMBOLS)
    hits = []
    for place in range(rows.shape[1] - 1):
        pairs = np.bincount(rows[:, place] * size + rows[:, -1], minlength=size * size)
        hits.append(pairs.reshape(size, size).max(axis=1).sum())
    return int(np.argmax(hits))


def _by_counting(
    rule: Rule,
) -> Callable[[Question], Answers]:
    def answer(question: Question) -> Answers:
        counts = Counter(question.symbols)
        number = counts.pop(symbols.BLANK)
        return rule(counts, number)

    return answer


def _sorted(counts: Counter[str], number: int) -> Answers:
    del number
    return tuple(sorted(counts.elements()))


def _leading(known: Sequence[str], answer_to: Mapping[str, str] | None = None) -> Rule:
    """A rule: the most frequent of the known symbols at all blanks, or the answer to it."""

    def rule(counts: Counter[str], number: int) -> Answers:
        leader = max(known, key=lambda symbol: counts[symbol])
        return (answer_to[leader] if answer_to else leader,) * number

    return rule


COUNTING: Mapping[str, Rule] = {
    "copy": _leading(symbols.LETTERS),
    "reverse": _leading(symbols.LETTERS),
    "shift": _leading(symbols.LETTERS),
    "sort": _sorted,
    "majority": _leading(symbols.LETTERS),
    "lookup": _leading(symbols.LETTERS),
    "induction": _leading(symbols.LETTERS),
    "recall": _leading(symbols.VALUES),
    "dyck": _leading(tuple(symbols.BRACKETS), symbols.BRACKETS),
}
