"""Tasks on a few lines of text, for the tests of the runner."""

import functools

import mtf_synthesizer.runtime.compat

import seqio
import tensorflow as tf

VOCABULARY = seqio.ByteVocabulary()
PAIRS = "synthesizer_test_pairs"
CHAIN = "synthesizer_test_chain"
BOTH = "synthesizer_test_both"
WITHOUT_TEST = "synthesizer_test_without_test"
SOME_WITH_TEST = "synthesizer_test_some_with_test"
TEXT = "synthesizer_test_text"
ONLY_TEST = "synthesizer_test_a_test_split_alone"  # the first of its mixture, as AX of GLUE
BEGINS_WITH_TEST = "synthesizer_test_begins_with_test"
WORDS = ("red", "green", "blue", "grey", "black")


def pairs(split, shuffle_files=False, seed=None):
    """Colours to colours; each example knows its number, the test split no answer."""
    examples = {
        "idx": [10 + i for i in range(5)],
        "inputs": [f"{word} {i}" for i, word in enumerate(WORDS)],
        "targets": ["" if split == "test" else word for word in WORDS],
    }
    return tf.data.Dataset.from_tensor_slices(examples)


def test_pairs(split, shuffle_files=False, seed=None):
    """As tensorflow_datasets, which fails for a split that a data set lacks."""
    if split != "test":
        raise KeyError(split)
    return pairs(split)


def text(split, shuffle_files=False, seed=None):
    return tf.data.Dataset.from_tensor_slices({"targets": [" ".join(WORDS)] * 5})


def accuracy(targets, predictions):
    right = sum(t == p for t, p in zip(targets, predictions, strict=True))
    return {"accuracy": right / len(targets)}


def label_length(text, example=None, is_target=False):
    """So that a prediction differs from the text that was decoded."""
    return len(text)


def register():
    """Adds the tasks to seqio once in a process."""
    if PAIRS in seqio.TaskRegistry.names():
        return
    feature = functools.partial(seqio.Feature, VOCABULARY)
    steps = [seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim]
    for name, source, features, metrics in (
        (PAIRS, pairs, ("inputs", "targets"), [accuracy]),
        (CHAIN, pairs, ("inputs", "targets"), []),
        (TEXT, text, ("targets",), []),
    ):
        seqio.TaskRegistry.add(
            name,
            seqio.FunctionDataSource(source, splits=("train", "validation", "test")),
            preprocessors=steps,
            output_features={key: feature() for key in features},
            metric_fns=metrics,
            postprocess_fn=label_length,
        )
    for name, source, splits in (
        (WITHOUT_TEST, pairs, ("train", "validation")),
        (ONLY_TEST, test_pairs, ("test",)),
    ):
        seqio.TaskRegistry.add(
            name,
            seqio.FunctionDataSource(source, splits=splits),
            preprocessors=steps,
            output_features={key: feature() for key in ("inputs", "targets")},
            metric_fns=[accuracy],
        )
    seqio.MixtureRegistry.add(BOTH, [PAIRS, CHAIN], default_rate=1.0)
    seqio.MixtureRegistry.add(SOME_WITH_TEST, [PAIRS, WITHOUT_TEST], default_rate=1.0)
    seqio.MixtureRegistry.add(BEGINS_WITH_TEST, [(ONLY_TEST, 0.0), (PAIRS, 1.0)])


register()
