"""Synthetic tasks: no data, minutes of training, and one question each about attention.

For models of Mesh's type "aligned", an encoder only, trained without packing:

    inputs   k3 v7 k1 v2 | k1 _ k3 _
    targets  0  0  0  0  0 0 v2 0 v7

Mesh counts loss where targets are above 0, so the model is trained and judged at the blanks alone.
Its own attention is the only way from a symbol to a blank. `synthesizer_*_text_v001` ask the
same questions of models with a decoder: the same inputs, and the answers in a row as targets.

The seed of example i of a split depends on the task's name, the split and i. Rows are drawn until
the hash of a row belongs to that split. No row therefore occurs in two splits, and every machine
draws the same rows.
"""

import dataclasses
import functools
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from mtf_synthesizer.tasks import listops, metrics
from mtf_synthesizer.tasks import synthetic_problems as problems
from mtf_synthesizer.tasks import synthetic_symbols as symbols
from mtf_synthesizer.tasks.synthetic_problems import Question
from mtf_synthesizer.tasks.verses import fixed_order
from mtf_synthesizer.upstream import tasks

# One row in five may be in the test split, one in five in the validation split, by its hash.
SPLIT_OF_REMAINDER = ("test", "validation", "train", "train", "train")
SIZES = {"train": 100_000, "validation": 1_000, "test": 1_000}
LONG_RANGE_ARENA_SIZES = {"train": 96_000, "validation": 2_000, "test": 2_000}


def split_of(question: Question) -> str:
    """Return the only split that a row may belong to."""
    return SPLIT_OF_REMAINDER[fixed_order(" ".join(question.symbols)) % len(SPLIT_OF_REMAINDER)]


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A kind of question, and its number of questions per split.

    Attributes:
      name: part of the task names.
      ask: function that draws a question.
      sizes: split -> number of examples.
    """

    name: str
    ask: Callable[[random.Random], Question]
    sizes: Mapping[str, int] = dataclasses.field(default_factory=lambda: SIZES)

    def question(self, split: str, number: int) -> Question:
        """Return question `number` of a split, the same on every machine and in every order."""
        draw = random.Random(fixed_order(self.name, split, number))
        while True:
            question = self.ask(draw)
            if split_of(question) == split:
                return question

    def rows(self, split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        """Return the questions of a split as `inputs`, with the answers at their blanks.

        Returns:
          A dataset of `inputs` and `answers`, int32 [length], the answers 0 except at blanks; the
          text of both, with the suffix _pretokenized; and `idx`, the number of the question.
        """
        # Questions are cached, because drawing a long task takes as long as a training step.
        remembered = _encoded(self)
        numbers = tf.data.Dataset.range(self.sizes[split])
        if shuffle_files:
            numbers = numbers.shuffle(self.sizes[split], seed=seed)

        def read(number: tf.Tensor) -> dict[str, tf.Tensor]:
            row = tf.numpy_function(
                functools.partial(remembered, split), [number], tf.uint8, stateful=False
            )
            row = tf.cast(tf.ensure_shape(row, [2, None]), tf.int32)
            answers = tf.boolean_mask(row[1], row[1] > 0)
            return {
                "inputs": row[0],
                "answers": row[1],
                "inputs_pretokenized": symbols.VOCABULARY.decode_tf(row[0]),
                "targets_pretokenized": symbols.VOCABULARY.decode_tf(answers),
                "idx": tf.cast(number, tf.int32),
            }

        return numbers.map(read)


@functools.cache
def _encoded(problem: "Problem") -> Callable[[str, int], np.ndarray]:
    """Return a caching function from split and number to the ids [2, length] of a question.

    The first line has the ids of the row, the second the ids of the answers at the blanks, else 0.
    Ids are bytes, so a whole split of the longest task takes 200 MB.
    """

    @functools.cache
    def encode(split: str, number: int) -> np.ndarray:
        return encode_question(problem.question(split, int(number)))

    return encode


def encode_question(question: Question) -> np.ndarray:
    """Return ids of the row, and of the answers at its blanks: uint8 [2, length]."""
    row = np.array([symbols.IDS[symbol] for symbol in question.symbols], np.uint8)
    answers = np.zeros_like(row)
    answers[row == symbols.BLANK_ID] = [symbols.IDS[symbol] for symbol in question.answers]
    return np.stack([row, answers])


@seqio.map_over_dataset
def at_the_blanks(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Make targets for an encoder: each answer at its blank, 0 elsewhere."""
    x = dict(x)
    return {"targets": x.pop("answers"), **x}


@seqio.map_over_dataset
def in_a_row(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Make targets for a decoder: the answers one after another."""
    x = dict(x)
    answers = x.pop("answers")
    return {"targets": tf.boolean_mask(answers, answers > 0), **x}


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("copy", problems.copy),
        Problem("reverse", problems.reverse),
        Problem("shift", problems.shift),
        Problem("sort", problems.sort),
        Problem("majority", problems.majority),
        Problem("lookup", problems.lookup),
        Problem("induction", problems.induction),
        Problem("recall", problems.recall),
        Problem("dyck", problems.dyck),
        Problem("addition", problems.addition),
        Problem("listops_short", listops.short),
        Problem("listops", listops.full, LONG_RANGE_ARENA_SIZES),
    )
}


def _add(name: str, problem: Problem, steps: list[Any], add_eos: bool) -> None:
    feature = seqio.Feature(symbols.VOCABULARY, add_eos=add_eos)
    seqio.TaskRegistry.add(
        name,
        source=seqio.FunctionDataSource(
            problem.rows, splits=tuple(problem.sizes), num_input_examples=problem.sizes
        ),
        preprocessors=steps,
        output_features={"inputs": feature, "targets": feature},
        metric_fns=[metrics.symbols_accuracy],
    )


for _problem in PROBLEMS.values():
    tasks.ALIGNED.add(f"synthesizer_{_problem.name}_v001")
    _add(f"synthesizer_{_problem.name}_v001", _problem, [at_the_blanks], add_eos=False)
    _add(
        f"synthesizer_{_problem.name}_text_v001",
        _problem,
        [in_a_row, seqio.preprocessors.append_eos_after_trim],
        add_eos=True,
    )
