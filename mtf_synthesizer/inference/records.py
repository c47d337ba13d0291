"""Records of decoded examples: identities, predictions and metrics."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import seqio
import tensorflow.compat.v1 as tf

from mtf_synthesizer.files import saving
from mtf_synthesizer.inference import scoring
from mtf_synthesizer.inference.sequences import Hypothesis
from mtf_synthesizer.inference.text_lines import STANDARD
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.tasks import official_scores
from mtf_synthesizer.tasks.metrics import of
from mtf_synthesizer.upstream.examples import ExampleSet

# Fields that identify an example; submissions are joined by these fields.
_IDENTITY = re.compile(r"^(idx|id|index|guid)([/_].*)?$")


_NO_TARGET = (b"<unk>", b"")  # T5's preprocessors turn the label -1 into <unk>


def metrics(examples: ExampleSet, outputs: list[str], split: str) -> scoring.Scores:
    """Compute the task's metrics of the decoded texts against the true targets.

    T5's targets of STS-B are rounded, so STS-B also gets correlations with the official scores.
    """
    predictions = _postprocessed(examples, outputs)
    scores = scoring.of_predictions(of(examples.task), _targets(examples), predictions)
    if scores.metrics and examples.task.name == official_scores.TASK:
        official = official_scores.read(examples.task, split, examples.rows)
        scores.metrics |= official_scores.correlations(official, predictions)
    return scores


def records(
    examples: ExampleSet, outputs: list[str], split: str, checkpoint: Checkpoint
) -> list[dict[str, Any]]:
    """Return a dictionary for each example; `inference.predict.predict` lists its keys."""
    made_by = {"step": checkpoint.step, "checkpoint": checkpoint.fingerprint}
    predictions = _postprocessed(examples, outputs)
    targets = _targets(examples)
    found = []
    for index, (row, output, prediction) in enumerate(
        zip(examples.rows, outputs, predictions, strict=True)
    ):
        record = {"task": examples.task.name, "split": split, **made_by, "index": index}
        record |= {k: _plain(v) for k, v in row.items() if _IDENTITY.match(k) and k != "index"}
        record |= {"output": output, "prediction": _plain(prediction)}
        if targets:
            record["target"] = _plain(targets[index])
        found.append(record)
    return found


def alternatives(
    task: seqio.Task, hypotheses: Iterable[Hypothesis], row: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the fields of all outputs for an example, with the task's reading of each."""
    return [
        each.record()
        | {"prediction": _plain(task.postprocess_fn(each.output, example=row, is_target=False))}
        for each in hypotheses
    ]


def _postprocessed(examples: ExampleSet, outputs: list[str]) -> list[Any]:
    return [
        examples.task.postprocess_fn(output, example=row, is_target=False)
        for output, row in zip(outputs, examples.rows, strict=True)
    ]


def _targets(examples: ExampleSet) -> list[Any]:
    """Return the targets of the metrics; empty if the split has no targets."""
    if any("targets_pretokenized" not in row for row in examples.rows):
        return []
    return [
        examples.task.postprocess_fn(
            tf.compat.as_text(row["targets_pretokenized"]), example=row, is_target=True
        )
        for row in examples.rows
    ]


def has_labels(examples: ExampleSet) -> bool:
    """Return whether the targets are labels, not T5's marks of missing labels in test splits."""
    texts = [row.get("targets_pretokenized") for row in examples.rows]
    if any(text is None for text in texts):  # targets come from the inputs: span corruption
        return True
    if all(text in _NO_TARGET for text in texts):
        return False
    return not all(scoring.says_nothing(target) for target in _targets(examples))


def names_of_metrics(examples: ExampleSet) -> list[str]:
    """Return the names of a task's metrics, found by comparing the targets with themselves."""
    metrics = of(examples.task) if "inputs" in examples.lengths else []
    targets = _targets(examples)
    return [*scoring.of_predictions(metrics, targets, targets).metrics] if targets else []


def _plain(value: Any) -> Any:
    """Convert NumPy values and bytes to values of JSON."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def write_lines(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, to - as to standard output; a file is replaced once it is complete."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if str(path) == STANDARD:
        sys.stdout.write(text)
    else:
        saving.write_text(path, text)
