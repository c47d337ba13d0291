"""Later needs of a comparison, checked before the first training step.

Data of all splits, packages of the metrics, a graph for every row, and the variables of the models
to start from.
"""

import itertools
import sys
from collections.abc import Iterable

import mtf_synthesizer.runtime.compat

import seqio

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import for_training
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.studies.compare import plan
from mtf_synthesizer.studies.compare.plan import ComparisonPlan
from mtf_synthesizer.studies.cost import graph
from mtf_synthesizer.studies.cost.model import Batch
from mtf_synthesizer.tasks import dialogue_metrics, metrics
from mtf_synthesizer.training import run_record
from mtf_synthesizer.upstream import data_folder, session, tasks, variables
from mtf_synthesizer.upstream import graph as upstream_graph
from mtf_synthesizer.upstream.model import Model


def check(folder: paths.Path, comparison: ComparisonPlan) -> None:
    """Check data, metrics, and the models of all rows that are not trained yet.

    Raises:
      errors.UserError: the task is unknown, a split or all data of a split is missing, no metric
        can be computed, a row can't be built for the task, or a model to start from differs.
    """
    for number, row in enumerate(comparison.rows):
        configuration = for_training(plan.request(comparison, row, comparison.seeds[0]))
        with session.configured(configuration, False):
            if not number:  # all rows have the same task
                _check_task(comparison)
            if any(not plan.trained(folder, row, seed) for seed in comparison.seeds):
                _check_row(folder, comparison, row)


def check_trained(folder: paths.Path, comparison: ComparisonPlan) -> None:
    """Check that the gin file of no trained row was edited.

    Raises:
      errors.UserError: a folder holds another run than the comparison's.
    """
    for row, seed in itertools.product(comparison.rows, comparison.seeds):
        if plan.trained(folder, row, seed):
            model = ModelFolder.at(plan.model_dir(folder, row, seed))
            run_record.check_asked(model, plan.request(comparison, row, seed))


def _check_task(comparison: ComparisonPlan) -> None:
    task = plan.task(comparison)
    tasks.check_task(task)
    _check_split("--split", task, comparison.split)
    _check_split("--validation_split", task, comparison.validation_split)
    tasks.check_data(task)
    _check_metrics(task)


def _check_split(flag: str, task: str, split: str) -> None:
    """One task of a mixture with the split is enough: the evaluation leaves the others out."""
    try:
        data_folder.check_any(task, split)
    except errors.UserError as error:
        raise errors.UserError(f"{flag} {split}: {error}") from error


def _check_metrics(task: str) -> None:
    """Print the metrics that will be left out.

    Raises:
      errors.UserError: all metrics of the task will be.
    """
    needed = [
        metric
        for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))
        for metric in metrics.of(subtask)
    ]
    lacking = list(dict.fromkeys(filter(None, map(dialogue_metrics.lacking, needed))))
    if lacking and all(map(dialogue_metrics.lacking, needed)):
        raise errors.UserError(f"{task}: {'. '.join(lacking)}")
    for reason in lacking:
        print(f"{task}: {reason}", file=sys.stderr)


def _check_row(folder: paths.Path, comparison: ComparisonPlan, row: str) -> None:
    model = session.build(plan.model_dir(folder, row, comparison.seeds[0]))
    tasks.check_features(plan.task(comparison), model)
    try:
        built = _shapes(model)
    except ValueError as error:  # a layer refuses its place
        raise errors.UserError(f"--rows {row}: {error}") from error
    for start in _starts(comparison, row):
        variables.differences(start, built).check(start, partial=False)


def _shapes(model: Model) -> dict[str, list[int]]:
    """Variables of the model's graph: name -> shape."""
    lengths = upstream_graph.LENGTHS[upstream_graph.model_type()](model.sequence_length)
    batch = Batch(1, lengths, upstream_graph.is_packed())
    words = upstream_graph.words(model.vocabulary)
    return graph.variables_of(upstream_graph.build(model.model_type, words), batch)


def _starts(comparison: ComparisonPlan, row: str) -> Iterable[str]:
    """Checkpoints that the models of a row are fine-tuned from."""
    for seed in comparison.seeds:
        start = plan.request(comparison, row, seed).init_checkpoint
        if start is not None:
            yield start_checkpoint(start).path
