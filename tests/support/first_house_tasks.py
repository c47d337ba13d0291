"""A task for an encoder-only model: the class of a text as one token, for the saved models."""

import numpy as np
import seqio
import tensorflow as tf

CLASSES = "synthesizer_first_house_classes"
COLOURS = {"red": 120, "green": 121}  # tokens of the byte vocabulary: u and v


def texts(split, shuffle_files=False, seed=None):
    """Texts that end with a colour; its token is the target of the first position."""
    rows = [
        (f"{number} is {colour}", token) for number in "12" for colour, token in COLOURS.items()
    ]
    encode = seqio.ByteVocabulary().encode

    def examples():
        for text, token in rows:
            ids = encode(text)
            yield {
                "inputs": np.array(ids, np.int32),
                "targets": np.array([token] + [0] * (len(ids) - 1), np.int32),
                "targets_pretokenized": chr(token - 3),
            }

    return tf.data.Dataset.from_generator(
        examples,
        output_signature={
            "inputs": tf.TensorSpec([None], tf.int32),
            "targets": tf.TensorSpec([None], tf.int32),
            "targets_pretokenized": tf.TensorSpec([], tf.string),
        },
    )


def accuracy(targets, predictions):
    right = sum(t == p for t, p in zip(targets, predictions, strict=True))
    return {"accuracy": right / len(targets)}


if CLASSES not in seqio.TaskRegistry.names():
    _feature = seqio.Feature(seqio.ByteVocabulary(), add_eos=False)
    seqio.TaskRegistry.add(
        CLASSES,
        seqio.FunctionDataSource(texts, splits=("train", "validation", "test")),
        preprocessors=[],
        output_features={"inputs": _feature, "targets": _feature},
        metric_fns=[accuracy],
    )
