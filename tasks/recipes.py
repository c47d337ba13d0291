"""What the tasks on published data have in common: source, steps and registration."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import seqio
import tensorflow as tf

from mtf_synthesizer.tasks.metrics import Metric
from mtf_synthesizer.upstream import vocabulary

Step = Callable[..., tf.data.Dataset]

# Text in, text out, as all of T5's own tasks end.
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
    """Registers a task whose first steps make text `inputs` and `targets`.

    Args:
      name: of the task.
      tfds_name: data set, with configuration and version.
      steps: what is done before tokenizing.
      metrics: of (targets, predictions), both text.
      splits: of the data set; all unless given.
    """
    return seqio.TaskRegistry.add(
        name,
        source=seqio.TfdsDataSource(tfds_name=tfds_name, splits=splits),
        preprocessors=[*steps, *TOKENIZED],
        output_features=vocabulary.output_features(),
        metric_fns=list(metrics),
    )


def without_eos(*names: str) -> dict[str, seqio.Feature]:
    """Features with the default vocabulary whose rows T5 doesn't end with EOS when it fits them."""
    features = vocabulary.output_features(*names)
    return {name: dataclasses.replace(feature, add_eos=False) for name, feature in features.items()}


def text_as_targets() -> Step:
    """Renames `text` to `targets`, as objectives without inputs want it."""
    return functools.partial(seqio.preprocessors.rekey, key_map={"targets": "text"})
