"""Language models: LM1B of the paper's Table 2; WikiText-2 and tiny Shakespeare for laptops.

For decoder-only models (sizes ending in _lm): tasks with `targets` and no `inputs`. Rows of LM1B
are sentences, to be packed. Rows of the other tasks are full parts of running text, in which every
token of a split occurs once.

A row's `words` is the number of words that end in it, plus the ends of sentences and lines. Over a
split

    word perplexity = exp(loss * tokens / words)

is comparable between vocabularies, and with word-level models, which predict the ends too.
"""

from collections.abc import Callable, Sequence

import seqio
import tensorflow as tf
from t5.data import preprocessors

from mtf_synthesizer.tasks import recipes
from mtf_synthesizer.upstream import vocabulary


@seqio.map_over_dataset
def with_word_count(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Move the text to `targets`, and count `words`: its words and one for its end."""
    return {"targets": x["text"], "words": tf.size(tf.strings.split(x["text"])) + 1}


def lines(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Split every text into its lines."""

    def split_text(x: dict[str, tf.Tensor]) -> tf.data.Dataset:
        parts = tf.strings.split(x["text"], "\n")
        return tf.data.Dataset.from_tensor_slices({"text": parts})

    return dataset.flat_map(split_text)


def end_with_eos(
    dataset: tf.data.Dataset, output_features: dict[str, seqio.Feature]
) -> tf.data.Dataset:
    """Append EOS to the tokens; `words` becomes an array beside them with all words at the EOS."""
    eos = output_features["targets"].vocabulary.eos_id

    @seqio.map_over_dataset
    def end(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        tokens = x["targets"]
        return {
            "targets": tf.concat([tokens, [eos]], axis=0),
            "words": tf.concat([tf.zeros_like(tokens), [x["words"]]], axis=0),
        }

    return end(dataset)


def split_long(dataset: tf.data.Dataset, sequence_length: dict[str, int]) -> tf.data.Dataset:
    """Continue a sentence that is too long in a further row, so that nothing is lost."""
    length = sequence_length["targets"]
    return preprocessors.split_tokens(
        dataset, max_tokens_per_segment=length, additional_feature_keys=["words"]
    )


def running_rows(dataset: tf.data.Dataset, sequence_length: dict[str, int]) -> tf.data.Dataset:
    """Concatenate all texts and cut them into rows; the last row may be shorter.

    In training, where the texts repeat without end, each epoch is cut at other places. T5's
    concatenate_and_split_to_fixed_length would lose `words`.
    """
    return dataset.unbatch().batch(sequence_length["targets"])


@seqio.map_over_dataset
def sum_words(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Sum `words` to one number for the row."""
    return x | {"words": tf.reduce_sum(x["words"])}


def _add_words(name: str, tfds_name: str, texts: Sequence[Callable], rows: Callable) -> None:
    """Register a task on `texts`, cut into rows by `rows`."""
    seqio.TaskRegistry.add(
        name,
        source=seqio.TfdsDataSource(tfds_name=tfds_name),
        preprocessors=[
            *texts,
            with_word_count,
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            end_with_eos,
            rows,
            sum_words,
        ],
        output_features=recipes.without_eos("targets"),
        metric_fns=[],
    )


_add_words("synthesizer_lm1b_v001", "lm1b:1.1.0", [], split_long)
_add_words("synthesizer_wikitext2_v001", "wikitext/wikitext-2-v1:1.0.0", [lines], running_rows)

# Characters are bytes here, so the loss is comparable with character-level models. A vocabulary of
# words would lose the ends of lines.

seqio.TaskRegistry.add(
    "synthesizer_tiny_shakespeare_v001",
    source=seqio.TfdsDataSource(tfds_name="tiny_shakespeare:1.0.0"),
    preprocessors=[
        recipes.text_as_targets(),
        seqio.preprocessors.tokenize,
        seqio.CacheDatasetPlaceholder(),
        preprocessors.concatenate_and_split_to_fixed_length,
    ],
    output_features={"targets": seqio.Feature(vocabulary.load(vocabulary.BYTES), add_eos=False)},
    metric_fns=[],
)
