"""Span corruption on the chapters of the embedded benchmark's training split."""

import itertools

import seqio
import tensorflow as tf
from t5.data import preprocessors

from mtf_synthesizer.tasks import verses_vocabulary
from mtf_synthesizer.tasks.verses import SPLITS, TRANSLATIONS, fixed_order, splits

SPANS = "synthesizer_verse_spans_v001"


def documents(split: str) -> list[str]:
    """Return the chapters of a split in each translation, one text each, in mixed order.

    A quick evaluation reads only the first rows, which therefore come from all books.
    """
    verses = splits()[split]
    chapters = [
        list(group) for _, group in itertools.groupby(verses, key=lambda verse: verse.chapter)
    ]
    texts = [
        (fixed_order("document", chapter[0].chapter, name), chapter, name)
        for chapter in chapters
        for name in TRANSLATIONS
    ]
    return [
        " ".join(verse.texts[name] for verse in chapter)
        for _, chapter, name in sorted(texts, key=lambda text: text[0])
    ]


def dataset(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
    """Return the documents as `targets`, where span corruption expects them."""
    texts = documents(split)
    result = tf.data.Dataset.from_tensor_slices({"targets": texts})
    return result.shuffle(len(texts), seed=seed) if shuffle_files else result


# T5's objective: 15 % of the tokens in spans of 3 on average; rows are filled to the last token.
seqio.TaskRegistry.add(
    SPANS,
    source=seqio.FunctionDataSource(dataset, splits=SPLITS),
    preprocessors=[
        seqio.preprocessors.tokenize,
        preprocessors.span_corruption,
        seqio.preprocessors.append_eos,
    ],
    output_features=verses_vocabulary.OUTPUT_FEATURES,
    metric_fns=[],
)
