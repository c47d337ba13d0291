"""Tasks of eight examples, in place of data that is too large for a test, with the same splits."""

import functools

import mtf_synthesizer.runtime.compat

import seqio
import tensorflow as tf

TRANSLATION = "synthesizer_test_small_translation"
SUMMARIES = "synthesizer_test_small_summaries"
DIALOGUE = "synthesizer_test_small_dialogue"  # no test split, as PersonaChat
SPANS = "synthesizer_test_small_spans"  # no test split and no metric, as C4
BENCHMARK = "synthesizer_test_small_benchmark"
_VOCABULARY = seqio.ByteVocabulary()
_ANSWERS = ("red", "green", "blue", "grey", "black", "white", "brown", "pink")


def _pairs(split, shuffle_files=False, seed=None):
    examples = {
        "inputs": [f"{split} {number}" for number in range(len(_ANSWERS))],
        "targets": [*_ANSWERS],
    }
    return tf.data.Dataset.from_tensor_slices(examples)


def accuracy(targets, predictions):
    right = sum(t == p for t, p in zip(targets, predictions, strict=True))
    return {"accuracy": 100 * right / len(targets)}


def register():
    """Adds the tasks to seqio once in a process."""
    if TRANSLATION in seqio.TaskRegistry.names():
        return
    feature = functools.partial(seqio.Feature, _VOCABULARY)
    for name, splits, metrics in (
        (TRANSLATION, ("train", "validation", "test"), [accuracy]),
        (SUMMARIES, ("train", "validation", "test"), [accuracy]),
        (DIALOGUE, ("train", "validation"), [accuracy]),
        (SPANS, ("train", "validation"), []),
    ):
        seqio.TaskRegistry.add(
            name,
            seqio.FunctionDataSource(_pairs, splits=splits),
            preprocessors=[
                seqio.preprocessors.tokenize,
                seqio.preprocessors.append_eos_after_trim,
            ],
            output_features={key: feature() for key in ("inputs", "targets")},
            metric_fns=metrics,
        )
    seqio.MixtureRegistry.add(BENCHMARK, [DIALOGUE, SPANS], default_rate=1.0)


register()
