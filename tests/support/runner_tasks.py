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
WORDS = ("red", "green", "blue", "grey", "black")


def pairs(split, shuffle_files=False, seed=None):
    """Colours to colours; each example knows its number, the test split no answer."""
    examples = {
        "idx": [10 + i for i in range(5)],
        "inputs": [f"{word} {i}" for i, word in enumerate(WORDS)],
        "targets": ["" if split == "test" else word for word in WORDS],
    }
    return tf.data.Dataset.from_tensor_slices(examples)


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
    seqio.TaskRegistry.add(
        WITHOUT_TEST,
        seqio.FunctionDataSource(pairs, splits=("train", "validation")),
        preprocessors=steps,
        output_features={key: feature() for key in ("inputs", "targets")},
        metric_fns=[accuracy],
    )
    seqio.MixtureRegistry.add(BOTH, [PAIRS, CHAIN], default_rate=1.0)
    seqio.MixtureRegistry.add(SOME_WITH_TEST, [PAIRS, WITHOUT_TEST], default_rate=1.0)


register()
