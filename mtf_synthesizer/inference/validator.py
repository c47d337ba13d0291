"""Scores of checkpoints while their model trains."""

from collections.abc import Mapping, Sequence

import mtf_synthesizer.runtime.compat

from mtf_synthesizer import errors
from mtf_synthesizer.inference import evaluate
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream.examples import example_sets
from mtf_synthesizer.upstream.model import Model

_TEACHER_FORCED = ("loss", "token_accuracy", "sequence_accuracy")


class Validator:
    """Evaluate checkpoints as `evaluate` does, under the gin configuration of their training.

    The score of a mixture is the mean over the tasks that have the score.

    Args:
      split: split of the task.
      examples: number of examples of each task to read; None for all.
    """

    def __init__(self, split: str = "validation", examples: int | None = None):
        self.split = split
        self._options = evaluate.EvaluateOptions(split=split, examples=examples)

    @property
    def read(self) -> int:
        """Number of examples that `begin` has read."""
        return sum(len(example_set.rows) for example_set in self._sets)

    def begin(self, folder: ModelFolder, task: str, trained: Model) -> Sequence[str]:
        """Read the examples, and return the names of the scores: metrics, then losses.

        Raises:
          errors.UserError: the split is missing, or has no labels.
        """
        self._folder, self._trained = folder, trained
        sets = example_sets(task, self.split, trained, self._options.examples)
        self._sets = [example_set for example_set in sets if decoding.has_labels(example_set)]
        if not self._sets:
            raise errors.UserError(
                f"--evaluate_every: the split {self.split} of {task} has no labels. Leave the "
                "flag out, or choose a task with labels"
            )
        metrics = (decoding.names_of_metrics(example_set) for example_set in self._sets)
        return list(
            dict.fromkeys([*(name for names in metrics for name in names), *_TEACHER_FORCED])
        )

    def score(self, checkpoint: Checkpoint) -> Mapping[str, float]:
        """Return the scores of a checkpoint: name -> number."""
        values: dict[str, list[float]] = {}
        for example_set in self._sets:
            row, _ = evaluate.evaluated(
                self._folder,
                example_set,
                self._trained,
                self._trained.batch_size,
                checkpoint,
                self._options,
            )
            of_task = {name: row[name] for name in _TEACHER_FORCED} | row["metrics"]
            for name, value in of_task.items():
                values.setdefault(name, []).append(float(value))
        return {name: sum(of_tasks) / len(of_tasks) for name, of_tasks in values.items()}
