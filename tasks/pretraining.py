"""Span corruption on the chapters of the embedded benchmark's training split."""

import itertools

import seqio
import tensorflow as tf
from t5.data import preprocessors

from mtf_synthesizer.tasks import verses_vocabulary
from mtf_synthesizer.tasks.verses import SPLITS, TRANSLATIONS, fixed_order, splits

SPANS = "synthesizer_verse_spans_v001"


def documents(split: str) -> list[str]:
    """The chapters of a split in each translation, one text each, books mixed.

    So that the first rows, which are all that a quick evaluation reads, are of all books.
    """
    verses = splits()[split]
    chapters = [list(group) for _, group in itertools.groupby(verses, key=lambda v: v.chapter)]
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
    """The documents as `targets`, where span corruption looks for them."""
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
