"""Records of decoded examples: identities, predictions and metrics."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import seqio
import tensorflow.compat.v1 as tf

from mtf_synthesizer import errors
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference import metric_objects, scoring
from mtf_synthesizer.inference.sequences import Hypothesis
from mtf_synthesizer.inference.text_lines import STANDARD
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.tasks import official_scores
from mtf_synthesizer.tasks.metrics import of
from mtf_synthesizer.upstream.examples import ExampleSet

# Fields that identify an example; submissions are joined by these fields.
_IDENTITY = re.compile(r"^(idx|id|index|guid)([/_].*)?$")


_NO_TARGET = ("<unk>", "")  # T5's preprocessors turn the label -1 into <unk>


def metrics(examples: ExampleSet, outputs: list[str], split: str) -> scoring.Scores:
    """Compute the task's metrics of the decoded texts against the true targets.

    T5's targets of STS-B are rounded, so STS-B also gets correlations with the official scores.
    """
    predictions, problem = _postprocessed(examples, outputs)
    if problem:
        return scoring.Scores(notes=[problem])
    scores = _scores(examples, of(examples.task), predictions)
    if scores.metrics and examples.task.name == official_scores.TASK:
        official = official_scores.read(examples.task, split, examples.rows)
        scores.metrics |= official_scores.correlations(official, predictions)
    scores.add(scoring.computed(metric_objects.of_text(examples, outputs)))
    return scores


def metrics_of_scores(examples: ExampleSet, likelihoods: list[float]) -> scoring.Scores:
    """Compute the task's metrics of the log-likelihood, in nats, of each true target."""
    scores = _scores(examples, examples.task.score_metric_fns, likelihoods)
    scores.add(scoring.computed(metric_objects.of_scores(examples, likelihoods)))
    return scores


def _scores(examples: ExampleSet, functions: Sequence[Any], values: list[Any]) -> scoring.Scores:
    if not functions:
        return scoring.Scores()
    try:
        targets = _targets(examples)
    except errors.UserError as error:
        return scoring.Scores(notes=[str(error)])
    return scoring.of_predictions(functions, targets, values)


def records(
    examples: ExampleSet, outputs: list[str], split: str, checkpoint: Checkpoint
) -> list[dict[str, Any]]:
    """Return a dictionary for each example; `inference.predict.predict` lists its keys."""
    made_by = {"step": checkpoint.step, "checkpoint": checkpoint.fingerprint}
    predictions, problem = _postprocessed(examples, outputs)
    if problem:
        print(f"{examples.task.name}: {problem}", file=sys.stderr, flush=True)
    targets = _targets(examples)
    rows = []
    for index, (row, output, prediction) in enumerate(
        zip(examples.rows, outputs, predictions, strict=True)
    ):
        record = {"task": examples.task.name, "split": split, **made_by, "index": index}
        record |= {k: _plain(v) for k, v in row.items() if _IDENTITY.match(k) and k != "index"}
        record |= {"output": output, "prediction": _plain(prediction)}
        if targets:
            record["target"] = _plain(targets[index])
        rows.append(record)
    return rows


def alternatives(
    task: seqio.Task, hypotheses: Iterable[Hypothesis], row: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the fields of all outputs for an example, with the task's reading of each."""
    return [
        hypothesis.record()
        | {
            "prediction": _plain(
                task.postprocess_fn(hypothesis.output, example=row, is_target=False)
            )
        }
        for hypothesis in hypotheses
    ]


def _postprocessed(examples: ExampleSet, outputs: list[str]) -> tuple[list[Any], str]:
    """Return the predictions, None where the task's postprocessor fails, and the first failure."""
    predictions: list[Any] = []
    problem = ""
    for output, row in zip(outputs, examples.rows, strict=True):
        try:
            predictions.append(examples.task.postprocess_fn(output, example=row, is_target=False))
        except Exception as error:  # a user's postprocessor may raise anything
            predictions.append(None)
            problem = problem or (
                f"the postprocessor fails on the output {output!r}: {scoring.failure(error)}"
            )
    return predictions, problem


def _targets(examples: ExampleSet) -> list[Any]:
    """Return the targets of the metrics; empty if the split has no targets.

    Raises:
      errors.UserError: the task's postprocessor fails on a target.
    """
    texts = _texts(examples)
    targets = []
    for text, row in zip(texts, examples.rows, strict=False):
        try:
            targets.append(examples.task.postprocess_fn(text, example=row, is_target=True))
        except Exception as error:  # a user's postprocessor may raise anything
            raise errors.UserError(
                f"the postprocessor of {examples.task.name} fails on the target {text!r}: "
                f"{scoring.failure(error)}"
            ) from error
    return targets


def _texts(examples: ExampleSet) -> list[Any]:
    """Return the target of each example as text; empty if an example has none.

    Tokenized targets are decoded, as seqio does, where the task keeps no text of them.
    """
    feature = examples.task.output_features.get("targets")
    texts = []
    for row in examples.rows:
        if "targets_pretokenized" in row:
            text = row["targets_pretokenized"]
            texts.append(tf.compat.as_text(text) if isinstance(text, bytes | str) else text)
        elif feature is not None and "targets" in row:
            texts.append(feature.vocabulary.decode([int(token) for token in row["targets"]]))
        else:
            return []
    return texts


def has_labels(examples: ExampleSet) -> bool:
    """Return whether the targets are labels, not T5's marks of missing labels in test splits."""
    texts = _texts(examples)
    if texts and all(isinstance(text, str) and text in _NO_TARGET for text in texts):
        return False
    try:
        targets = _targets(examples)
    except errors.UserError:  # the mark of a missing label would not fail
        return True
    return not targets or not all(scoring.says_nothing(target) for target in targets)


def names_of_metrics(examples: ExampleSet) -> list[str]:
    """Return the names of a task's metrics, found by comparing the targets with themselves."""
    metrics = of(examples.task) if "inputs" in examples.lengths else []
    targets = _targets(examples)
    return [*scoring.of_predictions(metrics, targets, targets).metrics] if targets else []


def _plain(value: Any) -> Any:
    """Convert NumPy values and bytes to values of JSON; other objects to their text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def write_lines(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, to - as to standard output; a file is replaced once it is complete."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if str(path) == STANDARD:
        sys.stdout.write(text)
    else:
        saving.write_text(path, text)
