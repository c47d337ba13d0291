"""Which inputs are cut, of tasks whose rows SeqIO has already cut."""

import mtf_synthesizer.runtime.compat

import pytest
import seqio
import tensorflow.compat.v1 as tf

from mtf_synthesizer.inference import cut_inputs
from mtf_synthesizer.upstream import examples, vocabulary

LIMIT = 6  # tokens, of which EOS is one
TEXTS = ("four", "fives", "sixsix", "seven77", "")
FEATURES = {
    name: seqio.Feature(seqio.ByteVocabulary(), add_eos=True) for name in ("inputs", "targets")
}


def texts(split, shuffle_files, seed=None):
    return tf.data.Dataset.from_tensor_slices({name: [*TEXTS] for name in FEATURES})


def of_task(*preprocessors):
    task = seqio.Task(
        "synthesizer_test_cut",
        seqio.FunctionDataSource(texts, splits=("test",)),
        FEATURES,
        preprocessors=preprocessors,
    )
    loaded = examples.load(task, "test", {"inputs": LIMIT, "targets": LIMIT}, None)
    assert {len(row["inputs"]) for row in loaded.rows} <= set(range(LIMIT + 1))
    return cut_inputs.of_examples(loaded, LIMIT)


def test_rows_that_lose_tokens_are_counted():
    kept = (seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim)
    assert vocabulary.EOS == 1
    assert of_task(*kept) == [3, 4]


def test_a_row_that_loses_nothing_but_its_eos_is_whole():
    kept = (seqio.preprocessors.tokenize, seqio.preprocessors.append_eos)
    assert of_task(*kept) == [4]


def test_tasks_that_keep_no_text_are_not_counted():
    def tokenized(dataset, output_features):
        return seqio.preprocessors.tokenize(dataset, output_features, copy_pretokenized=False)

    assert of_task(tokenized, seqio.preprocessors.append_eos_after_trim) == []


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([], ""),
        ([3], "1 cut to the length of the model's inputs (line 3; "),
        (list(range(1, 8)), "7 cut to the length of the model's inputs (line 1, 2, 3, 4, 5 and 2"),
    ],
)
def test_the_sentence_names_the_first(numbers, said):
    assert cut_inputs.describe(numbers, "line").startswith(said)
