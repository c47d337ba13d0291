"""AG News and IMDB of the paper's Table 7, for encoder-only classifiers.

For models of Mesh's type "aligned", trained without packing:

    inputs   [class token] + tokens of the text, cut to the length of the inputs; no EOS
    targets  [class] + zeros, as long as the inputs

Mesh counts loss where targets are above 0, so the model answers at the first position and must
attend to the whole text there. The class token is <extra_id_0>, the first sentinel of the inputs'
vocabulary. Targets have a byte vocabulary, in which the classes are the digits from 1. The inputs'
vocabulary would cost thousands of useless logits at every position.

`synthesizer_*_text_v001` are the same data as text to text, for encoder-decoder models.
`synthesizer_imdb_bytes_v001` is the Text task of the Long Range Arena.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import seqio
import tensorflow as tf

from mtf_synthesizer.data import classification
from mtf_synthesizer.tasks import metrics, recipes
from mtf_synthesizer.upstream import tasks
from mtf_synthesizer.upstream.vocabulary import BYTES, DEFAULT, load

CLASSES = seqio.ByteVocabulary()


def class_token(vocabulary: seqio.Vocabulary) -> int:
    """Return the id of <extra_id_0>, which precedes every text.

    Raises:
      ValueError: the vocabulary has no sentinels.
    """
    if not vocabulary.extra_ids:
        raise ValueError(
            "the vocabulary has no sentinels, but <extra_id_0> is the class token. Choose a "
            "--vocabulary with sentinels"
        )
    return vocabulary.vocab_size - 1


def aligned_classes(
    dataset: tf.data.Dataset,
    output_features: Mapping[str, seqio.Feature],
    sequence_length: Mapping[str, int],
) -> tf.data.Dataset:
    """Put the class token before the inputs, and make targets of the same length.

    Args:
      dataset: tokenized `inputs`, and `label`, the number of the class from 0.
      output_features: features of the task.
      sequence_length: feature -> length of a row.
    """
    vocabulary = output_features["inputs"].vocabulary
    [first_class] = CLASSES.encode("1")
    room = sequence_length["inputs"] - 1

    @seqio.map_over_dataset
    def align(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        text = x["inputs"][:room]
        answer = first_class + tf.cast(x["label"], tf.int32)
        return x | {
            "inputs": tf.concat([[class_token(vocabulary)], text], axis=0),
            "targets": tf.concat([[answer], tf.zeros_like(text)], axis=0),
        }

    return align(dataset)


def class_label(output: str, labels: Sequence[str], **unused: Any) -> str:
    """Return the label that a model's output stands for; the empty text if none.

    Args:
      output: decoded text that begins with the digit of a class, or a label itself.
      labels: names of the classes, at most nine.
      unused: further arguments that seqio passes to a postprocessor.
    """
    if output in labels:
        return output
    digits = {str(number): label for number, label in enumerate(labels, start=1)}
    return digits.get(output[:1], "")


Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A data set of texts with one label each.

    Attributes:
      name: part of the task names.
      tfds_name: data set, with configuration and version.
      labels: names of the classes, in the order of their numbers.
      text: function from an example to its text.
      question: prefix of the text in the text-to-text task.
    """

    name: str
    tfds_name: str
    labels: tuple[str, ...]
    text: Callable[[Example], tf.Tensor]
    question: str

    def for_encoder(self, x: Example) -> Example:
        """Return the text, the label's number, and its name for the metrics."""
        return {
            "inputs": self.text(x),
            "label": x["label"],
            "targets_pretokenized": self._label(x),
        }

    def text_to_text(self, x: Example) -> Example:
        """Return question and text as inputs, and the label's name as target."""
        return {
            "inputs": tf.strings.join([self.question, self.text(x)], separator=" "),
            "targets": self._label(x),
        }

    def _label(self, x: Example) -> tf.Tensor:
        return tf.gather(self.labels, x["label"])


IMDB = Labelled(
    "imdb",
    "imdb_reviews/plain_text:1.0.0",
    ("neg", "pos"),
    lambda x: x["text"],
    "imdb sentiment:",
)
DATASETS = (
    IMDB,
    Labelled(
        "ag_news",
        "ag_news_subset:1.0.0",
        classification.TOPICS,
        lambda x: tf.strings.join([x["title"], x["description"]], separator=" "),
        "ag news topic:",
    ),
)
SPLITS = ("train", "test")  # without IMDB's unlabelled split


def _add_for_encoder(name: str, labelled: Labelled, vocabulary: seqio.Vocabulary) -> None:
    """Register a data set for encoders whose inputs have the given vocabulary."""
    tasks.ALIGNED.add(name)
    seqio.TaskRegistry.add(
        name,
        source=seqio.TfdsDataSource(tfds_name=labelled.tfds_name, splits=SPLITS),
        preprocessors=[
            seqio.map_over_dataset(labelled.for_encoder),
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            aligned_classes,
        ],
        output_features={
            "inputs": seqio.Feature(vocabulary, add_eos=False),
            "targets": seqio.Feature(CLASSES, add_eos=False),
        },
        postprocess_fn=functools.partial(class_label, labels=labelled.labels),
        metric_fns=[metrics.accuracy],
    )


for _labelled in DATASETS:
    _add_for_encoder(f"synthesizer_{_labelled.name}_v001", _labelled, DEFAULT)
    recipes.add_text_to_text(
        f"synthesizer_{_labelled.name}_text_v001",
        _labelled.tfds_name,
        [seqio.map_over_dataset(_labelled.text_to_text)],
        [metrics.accuracy],
        SPLITS,
    )

# "Text" of the Long Range Arena, whose tokens are bytes by definition.
_add_for_encoder("synthesizer_imdb_bytes_v001", IMDB, load(BYTES))
