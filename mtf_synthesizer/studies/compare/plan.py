"""The variants of a comparison, and the request of each training; no TensorFlow."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config import digests, gin_files, statements
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.request import TASK_MODULES, Request, for_training
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies import variants

STEPS = "steps"  # folder of the results of finished steps


@dataclasses.dataclass(frozen=True)
class ComparisonPlan:
    """The models of a comparison, and how they are trained and evaluated.

    Attributes:
      experiment: a name of gin/experiments.
      rows: names of gin/synthesizers and gin/baselines, gin files, choices by layer, and any of
        these with bindings (`variants`).
      seeds: seeds of each row.
      split: split that the models are evaluated on at the end.
      validation_split: split that shows whether the loss still falls.
      steps: training steps; None for the experiment's.
      vocabulary, tfds_data_dir, additional_task_cache_dirs, gin_files, gin_params, modules: as in
        `config.request.Request`.
      init_from: folder of a comparison whose models are fine-tuned, each by its row and seed.
      evaluation_gin_files: gin files for the evaluation alone, e.g. beam_search.gin.
    """

    experiment: str
    rows: Sequence[str]
    seeds: Sequence[int] = (0,)
    split: str = "test"
    validation_split: str = "validation"
    steps: int | None = None
    vocabulary: str | None = None
    tfds_data_dir: str | None = None
    additional_task_cache_dirs: Sequence[str] = ()
    gin_files: Sequence[str] = ()
    gin_params: Sequence[str] = ()
    modules: Sequence[str] = TASK_MODULES
    init_from: str | None = None
    evaluation_gin_files: Sequence[str] = ()


def model_dir(folder: paths.Path, row: str, seed: int) -> paths.Path:
    """The model's folder of a row and a seed in the folder of a comparison."""
    return folder / f"{variants.folder_name(row)}_seed{seed}"


def training(row: str, seed: int) -> str:
    """The name of the step that trains a row with a seed."""
    return f"{variants.folder_name(row)}_seed{seed}_train"


def trained(folder: paths.Path, row: str, seed: int) -> bool:
    """True once a row is trained with a seed."""
    return (folder / STEPS / f"{training(row, seed)}.json").exists()


def request(comparison: ComparisonPlan, row: str, seed: int, steps: int | None = None) -> Request:
    """The request for the training of one model; steps: instead of those of all rows."""
    variant = variants.parse(row)
    start = None
    if comparison.init_from is not None:
        start = model_dir(paths.of(comparison.init_from), row, seed)
    return Request(
        synthesizer=variant.synthesizer,
        experiment=comparison.experiment,
        steps=steps or comparison.steps,
        gin_files=[*variant.gin_files, *comparison.gin_files],
        gin_params=[*comparison.gin_params, *variant.gin_params],
        modules=comparison.modules,
        init_checkpoint=start,
        vocabulary=comparison.vocabulary,
        tfds_data_dir=comparison.tfds_data_dir,
        additional_task_cache_dirs=comparison.additional_task_cache_dirs,
        seed=seed,
    )


def task(comparison: ComparisonPlan) -> str:
    """The task or mixture that all models are trained and evaluated on."""
    files = [gin_files.gin_file("experiments", comparison.experiment), *comparison.gin_files]
    return str(statements.macro("MIXTURE_NAME", files, comparison.gin_params))


def check(comparison: ComparisonPlan) -> None:
    """Check the whole plan, including the evaluation, before the first training.

    Raises:
      errors.UserError: a name, file or binding is wrong, or a model to start from is missing.
    """
    if comparison.init_from is not None:
        _check_starts(comparison, paths.of(comparison.init_from))
    folders = [variants.folder_name(row) for row in comparison.rows]
    for row, folder in zip(comparison.rows, folders, strict=True):
        if folders.count(folder) > 1:
            raise errors.UserError(
                f"--rows {row}: another row would have the same folder, {folder}. Give the gin "
                "files different names"
            )
        trained = for_training(request(comparison, row, comparison.seeds[0]))
        if comparison.evaluation_gin_files:
            evaluated = [*trained.files, *comparison.evaluation_gin_files]
            names.check(evaluated, trained.params, trained.modules)


# Settings that only the final evaluation reads; settings that only the validation loss depends on.
_OF_SCORES = (
    *("split", "evaluation_gin_files"),
    *("evaluation_gin_file_sha256", "evaluation_gin_statements"),
)
_OF_FALL = ("validation_split",)


def settings(comparison: ComparisonPlan) -> dict[str, Any]:
    """Settings that all results of a folder share; a user's gin file counts by its text.

    Further rows and seeds may be added to a folder, also by a later release, as long as each row's
    gin files bind the same.
    """
    fields = dataclasses.asdict(comparison)
    found = digests.of_files(map(str, comparison.gin_files), comparison.gin_params)
    fields["gin_file_sha256"] = found if any(found) else None
    found = digests.of_files(map(str, comparison.evaluation_gin_files))
    fields["evaluation_gin_file_sha256"] = found if any(found) else None
    evaluated = digests.of_statements(list(map(str, comparison.evaluation_gin_files)))
    fields["evaluation_gin_statements"] = evaluated if comparison.evaluation_gin_files else None
    fields["gin_statements"] = {row: _statements(comparison, row) for row in comparison.rows}
    return {name: value for name, value in fields.items() if name not in ("rows", "seeds")}


def _statements(comparison: ComparisonPlan, row: str) -> str:
    configuration = for_training(request(comparison, row, comparison.seeds[0]))
    return digests.of_statements(configuration.files)


def free_settings(folder: paths.Path) -> list[str]:
    """Settings that no result in a folder depends on yet, so a corrected command resumes."""
    free: list[str] = []
    if not any(folder.glob(f"{STEPS}/*_scores.json")):
        free += _OF_SCORES
    if not any(folder.glob(f"{STEPS}/*_fall.json")):
        free += _OF_FALL
    return free


def _check_starts(comparison: ComparisonPlan, folder: paths.Path) -> None:
    if not folder.is_dir():
        raise errors.UserError(
            f"--init_checkpoint {folder}: no such folder. Give the --output of an earlier "
            "comparison"
        )
    for row, seed in itertools.product(comparison.rows, comparison.seeds):
        start = model_dir(folder, row, seed)
        if not ModelFolder.at(start).checkpoints:
            raise errors.UserError(
                f"--init_checkpoint {folder} lacks the model of row {row} and seed {seed}: no "
                "checkpoint "
                f"in {start}. Give --rows and --seeds that were trained there"
            )
