"""Common parts of the tasks on published data: source, steps and registration."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import seqio
import tensorflow as tf

from mtf_synthesizer.tasks.metrics import Metric
from mtf_synthesizer.upstream import vocabulary

Step = Callable[..., tf.data.Dataset]

# Last steps of a text-to-text task, as in all of T5's own tasks.
TOKENIZED = (
    seqio.preprocessors.tokenize,
    seqio.CacheDatasetPlaceholder(),
    seqio.preprocessors.append_eos_after_trim,
)


def add_text_to_text(
    name: str,
    tfds_name: str,
    steps: Sequence[Step],
    metrics: Sequence[Metric],
    splits: Sequence[str] | None = None,
) -> seqio.Task:
    """Register a task whose first steps produce text `inputs` and `targets`.

    Args:
      name: name of the task.
      tfds_name: data set, with configuration and version.
      steps: preprocessors before tokenizing.
      metrics: functions of (targets, predictions), both text.
      splits: splits of the data set; None for all.
    """
    return seqio.TaskRegistry.add(
        name,
        source=seqio.TfdsDataSource(tfds_name=tfds_name, splits=splits),
        preprocessors=[*steps, *TOKENIZED],
        output_features=vocabulary.output_features(),
        metric_fns=list(metrics),
    )


def without_eos(*names: str) -> dict[str, seqio.Feature]:
    """Return features with the default vocabulary, to which T5 adds no EOS."""
    features = vocabulary.output_features(*names)
    return {name: dataclasses.replace(feature, add_eos=False) for name, feature in features.items()}


def text_as_targets() -> Step:
    """Return a step that renames `text` to `targets`, for objectives without inputs."""
    return functools.partial(seqio.preprocessors.rekey, key_map={"targets": "text"})
