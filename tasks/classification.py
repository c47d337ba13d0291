"""AG News and IMDB of the paper's Table 7, for classifiers that are an encoder only.

For models of Mesh's type "aligned", trained without packing:

    inputs   [class token] + tokens of the text, cut to the length of the inputs; no EOS
    targets  [class id] + zeros, as long as the inputs

Mesh counts loss where targets are above 0, so the model answers at the first position, and can do
nothing else there than read the whole text. The class token is <extra_id_0>, the first sentinel,
and the classes are the next ones, which every SentencePiece vocabulary of T5 has and no text. Among
bytes, whose sentinels vanish from decoded text, the classes are the digits from 1.

`synthesizer_*_text_v001` are the same data as text to text, for encoder-decoder models.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from mtf_synthesizer.data import classification as data
from mtf_synthesizer.tasks import metrics, recipes, vocabularies


def class_token(vocabulary: seqio.Vocabulary) -> int:
    """The id of <extra_id_0>, which stands before every text.

    Raises:
      ValueError: the vocabulary has no sentinels.
    """
    if not vocabulary.extra_ids:
        raise ValueError("the vocabulary has no sentinels, but <extra_id_0> is the class token")
    return vocabulary.vocab_size - 1


def class_ids(vocabulary: seqio.Vocabulary, labels: Sequence[str]) -> dict[str, int]:
    """The token of each class: <extra_id_1> for the first label, and so on, or digits from 1.

    Raises:
      ValueError: the vocabulary has neither for so many classes.
    """
    ids = {label: _numbered(vocabulary, number) for number, label in enumerate(labels, start=1)}
    if len(set(ids.values())) < len(labels):
        raise ValueError(
            f"the vocabulary has neither sentinels nor digits for the {len(labels)} classes "
            f"{', '.join(labels)}; T5's own has 100 sentinels"
        )
    return ids


def _numbered(vocabulary: seqio.Vocabulary, number: int) -> int:
    sentinel = class_token(vocabulary) - number
    if number < vocabulary.extra_ids and vocabulary.decode([sentinel]):
        return sentinel
    return vocabulary.encode(str(number))[-1]


def aligned_classes(
    dataset: tf.data.Dataset,
    labels: Sequence[str],
    output_features: Mapping[str, seqio.Feature],
    sequence_length: Mapping[str, int],
) -> tf.data.Dataset:
    """Class token before the inputs, and targets of the same length: see the module's docstring.

    Args:
      dataset: tokenized `inputs`, and `label`, the number of one of the labels.
      labels: names of the classes.
      output_features, sequence_length: of the task.
    """
    vocabulary = output_features["inputs"].vocabulary
    ids = list(class_ids(vocabulary, labels).values())
    room = sequence_length["inputs"] - 1

    @seqio.map_over_dataset
    def align(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        text = x["inputs"][:room]
        return x | {
            "inputs": tf.concat([[class_token(vocabulary)], text], axis=0),
            "targets": tf.concat([[tf.gather(ids, x["label"])], tf.zeros_like(text)], axis=0),
        }

    return align(dataset)


def class_label(
    output: str | int | Sequence[int],
    labels: Sequence[str],
    vocabulary: seqio.Vocabulary = vocabularies.DEFAULT,
    **unused: Any,
) -> str:
    """The label that a model's output means; the empty text if it is none.

    Args:
      output: an id, ids of which the first counts, decoded text that begins with the class, or a
        label itself.
      labels: names of the classes.
      vocabulary: of the ids.
      unused: what else seqio passes to a postprocessor.
    """
    if isinstance(output, str) and output in labels:
        return output
    ids = class_ids(vocabulary, labels)
    if isinstance(output, str):
        found = (label for label, i in ids.items() if output.startswith(vocabulary.decode([i])))
    else:
        found = (label for label, i in ids.items() if i == np.ravel(output)[0])
    return next(found, "")


Example = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A data set of texts with one label each.

    Attributes:
      name: in the names of the tasks.
      tfds_name: data set, with configuration and version.
      labels: names of the classes, in the order of their numbers.
      text: of an example.
      question: what stands before the text where a model is asked in words.
    """

    name: str
    tfds_name: str
    labels: tuple[str, ...]
    text: Callable[[Example], tf.Tensor]
    question: str

    def for_encoder(self, x: Example) -> Example:
        """Text, the label's number, and its name for the metrics."""
        return {
            "inputs": self.text(x),
            "label": x["label"],
            "targets_pretokenized": self._label(x),
        }

    def text_to_text(self, x: Example) -> Example:
        """Question and text in, the label's name out."""
        return {
            "inputs": tf.strings.join([self.question, self.text(x)], separator=" "),
            "targets": self._label(x),
        }

    def _label(self, x: Example) -> tf.Tensor:
        return tf.gather(self.labels, x["label"])


DATASETS = (
    Labelled(
        "imdb",
        "imdb_reviews/plain_text:1.0.0",
        ("neg", "pos"),
        lambda x: x["text"],
        "imdb sentiment:",
    ),
    Labelled(
        "ag_news",
        "ag_news_subset:1.0.0",
        data.TOPICS,
        lambda x: tf.strings.join([x["title"], x["description"]], separator=" "),
        "ag news topic:",
    ),
)
SPLITS = ("train", "test")  # IMDB has one without labels too

for _each in DATASETS:
    recipes.ALIGNED.add(f"synthesizer_{_each.name}_v001")
    seqio.TaskRegistry.add(
        f"synthesizer_{_each.name}_v001",
        source=seqio.TfdsDataSource(tfds_name=_each.tfds_name, splits=SPLITS),
        preprocessors=[
            seqio.map_over_dataset(_each.for_encoder),
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            functools.partial(aligned_classes, labels=_each.labels),
        ],
        output_features=recipes.without_eos("inputs", "targets"),
        postprocess_fn=functools.partial(class_label, labels=_each.labels),
        metric_fns=[metrics.accuracy],
    )
    recipes.add_text_to_text(
        f"synthesizer_{_each.name}_text_v001",
        _each.tfds_name,
        [seqio.map_over_dataset(_each.text_to_text)],
        [metrics.accuracy],
        SPLITS,
    )
