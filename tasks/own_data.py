"""The task on a user's own files, registered while a configuration with such files is set up.

docs/own_data.md writes the same task in Python. The objectives:

    pairs   prefix + inputs -> targets
    spans   T5's span corruption of the text, rows filled to the last token
    lm      running text for decoder-only models: lines with EOS between them, cut into full rows
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import seqio
import tensorflow as tf
from scipy import stats
from t5.data import preprocessors
from t5.evaluation import metrics as t5_metrics

from mtf_synthesizer.data import own_files
from mtf_synthesizer.model_folder.own_data import LANGUAGE_MODEL, PAIRS, SPANS, TASK, OwnData
from mtf_synthesizer.tasks import language_modeling, metrics, recipes, text_metrics
from mtf_synthesizer.upstream import vocabulary

_BUFFER = 100_000  # rows that are mixed; more rows are mixed in parts
_SPECS = {name: tf.TensorSpec([], tf.string) for name in ("inputs", "targets")}


def register(data: OwnData) -> None:
    """Register the task `own_data` in place of an earlier one.

    The files are opened when examples are read, so a model can be used without them.
    """
    remove()
    steps, features = _OBJECTIVES[data.chosen_objective](data)
    seqio.TaskRegistry.add(
        TASK,
        source=seqio.FunctionDataSource(_dataset_fn(data), splits=[*data.files]),
        preprocessors=steps,
        output_features=features,
        metric_fns=[METRICS[name] for name in data.chosen_metrics],
    )


def remove() -> None:
    """Remove the task, if it is registered."""
    if TASK in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(TASK)


def _dataset_fn(data: OwnData) -> Callable[..., tf.data.Dataset]:
    def dataset(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        def rows() -> Iterator[own_files.Row]:
            return own_files.rows(data, split)

        first = next(rows())
        result = tf.data.Dataset.from_generator(
            rows, output_signature={name: _SPECS[name] for name in first}
        )
        return result.shuffle(_BUFFER, seed=seed) if shuffle_files else result

    return dataset


Task = tuple[Sequence[Callable[..., tf.data.Dataset]], Mapping[str, seqio.Feature]]


def _pairs(data: OwnData) -> Task:
    prefix = data.prefix or ""

    @seqio.map_over_dataset
    def with_prefix(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return x | {"inputs": tf.strings.join([prefix, x["inputs"]])}

    # A split that `predict` decodes has no targets.
    features = {
        name: seqio.Feature(vocabulary.DEFAULT, required=name == "inputs")
        for name in ("inputs", "targets")
    }
    return [with_prefix, *recipes.TOKENIZED], features


def _spans(data: OwnData) -> Task:
    steps = [
        seqio.preprocessors.tokenize,
        preprocessors.span_corruption,
        seqio.preprocessors.append_eos,
    ]
    return steps, vocabulary.output_features()


def _language_model(data: OwnData) -> Task:
    steps = [
        _text_of_targets,
        language_modeling.with_word_count,
        seqio.preprocessors.tokenize,
        language_modeling.end_with_eos,
        language_modeling.running_rows,
        language_modeling.sum_words,
    ]
    return steps, recipes.without_eos("targets")


@seqio.map_over_dataset
def _text_of_targets(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"text": x["targets"]}


_OBJECTIVES: Mapping[str, Callable[[OwnData], Task]] = {
    PAIRS: _pairs,
    SPANS: _spans,
    LANGUAGE_MODEL: _language_model,
}


def _macro_f1(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Compute the mean of the F1 of every label in the targets, in per cent."""
    from sklearn.metrics import f1_score

    score = f1_score(
        targets, predictions, labels=sorted({*targets}), average="macro", zero_division=0
    )
    return {"macro_f1": 100 * float(score)}


def _matthews(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Compute Matthews' correlation of labels, in per cent."""
    from sklearn.metrics import matthews_corrcoef

    score = matthews_corrcoef(targets, predictions)
    return {"matthews_corrcoef": 100 * float(score)}


def _squad(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Compute SQuAD's exact match and F1 over words, with one right answer an example."""
    return t5_metrics.squad([[target] for target in targets], predictions)


def _pearson(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Compute Pearson's correlation of numbers, in per cent."""
    return {"pearson_corrcoef": _correlation(stats.pearsonr, targets, predictions)}


def _spearman(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Compute Spearman's rank correlation of numbers, in per cent."""
    return {"spearman_corrcoef": _correlation(stats.spearmanr, targets, predictions)}


def _correlation(
    function: Callable[..., Any], targets: Sequence[str], predictions: Sequence[str]
) -> float:
    """Correlate texts that are numbers; another text counts as 0, and a constant side gives 0."""
    x, y = (np.array([_number(text) for text in texts]) for texts in (targets, predictions))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return 100 * float(function(x, y)[0])


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if np.isfinite(number) else 0.0


# Name of --metrics -> function of (targets, predictions), both text.
METRICS: Mapping[str, Callable[..., Any]] = {
    "accuracy": metrics.accuracy,
    "bleu": text_metrics.bleu,
    "macro_f1": _macro_f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "rouge": text_metrics.rouge,
    "spearman": _spearman,
    "squad": _squad,
}
