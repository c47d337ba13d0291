"""Inputs that are longer than a model's, and lose their end."""

from collections.abc import Sequence

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer.upstream import vocabulary
from mtf_synthesizer.upstream.examples import ExampleSet

_NAMED = 5  # numbers of rows in a message


def of_examples(examples: ExampleSet, limit: int) -> list[int]:
    """Return the numbers of the examples whose inputs were cut, from 1.

    SeqIO cuts without a trace, so the text of each full row is tokenized again. Tasks that keep no
    `inputs_pretokenized` are not counted.

    Args:
      examples: examples of a task with inputs.
      limit: number of tokens of the longest row, with EOS.
    """
    encode = examples.task.output_features["inputs"].vocabulary.encode
    found = []
    for number, row in enumerate(examples.rows, 1):
        text = row.get("inputs_pretokenized")
        if text is None or len(row["inputs"]) < limit:
            continue
        kept = np.count_nonzero(np.not_equal(row["inputs"], vocabulary.EOS))
        if len(encode(tf.compat.as_text(text))) > kept:
            found.append(number)
    return found


def describe(numbers: Sequence[int], row: str) -> str:
    """Return a sentence that names the first rows; empty if none was cut."""
    if not numbers:
        return ""
    shown = ", ".join(map(str, numbers[:_NAMED]))
    more = len(numbers) - _NAMED
    return (
        f"{len(numbers)} cut to the length of the model's inputs ({row} {shown}"
        f"{f' and {more} more' if more > 0 else ''}; --gin_param 'inputs_length = ...' sets "
        "another length)"
    )
