"""The folder of prepared data: --tfds_data_dir, or the default of tensorflow_datasets."""

from collections.abc import Sequence

import mtf_synthesizer.runtime.compat

import seqio
from tensorflow_datasets.core.utils import gcs_utils

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.upstream import epath_schemes, newer_data_sets

_OFFICIAL = ("train", "validation", "test")


def read_from(folder: str | None) -> None:
    """Make all tasks read prepared data from a folder; None restores the default.

    With a folder, seqio must not look on a server first. Without a network that takes time. With a
    network it fails for existing data sets ("Cannot have both `try_gcs=True` and `data_dir`").
    """
    newer_data_sets.make_readable()
    if folder is not None:
        epath_schemes.make_known(folder)
    seqio.set_tfds_data_dir_override(folder)
    gcs_utils._is_gcs_disabled = folder is not None
    # The setting above reaches only tasks that were not used before.
    for name in seqio.TaskRegistry.names():
        source = seqio.TaskRegistry.get(name).source
        if isinstance(source, seqio.TfdsDataSource):
            source.tfds_dataset.override_data_dir(folder)


def check(task: str, split: str) -> None:
    """Raise a UserError unless a task or mixture has the split and the folder its data sets."""
    known = splits(task)
    try:
        errors.check(f"split of {task}", split, known)
    except errors.UserError as error:
        if not _loaders(task) or split not in _OFFICIAL:
            raise
        raise errors.UserError(
            f"{error} If the official files contain this split, run `mtf_synthesizer data prepare "
            "--overwrite` to add it"
        ) from error


def check_any(task: str, split: str) -> None:
    """Check that a task, or at least one task of a mixture, has a split and its data.

    Raises:
      errors.UserError: none of them has.
    """
    refused: list[errors.UserError] = []
    names = [each.name for each in seqio.get_subtasks(seqio.get_mixture_or_task(task))]
    for name in names:
        try:
            check(name, split)
        except errors.UserError as error:
            refused.append(error)
    if len(refused) == len(names):
        raise refused[0]


def splits(task: str) -> list[str]:
    """Return the splits of a task or mixture.

    Without a folder no data is checked, because tensorflow_datasets downloads missing data.

    Raises:
      errors.UserError: the folder lacks a data set.
    """
    tasks = seqio.get_subtasks(seqio.get_mixture_or_task(task))
    loaders = _loaders(task)
    missing = sorted(
        {
            loader.name
            for loader in loaders
            if loader.data_dir and not _exists(loader.data_dir, loader.name)
        }
    )
    if missing:
        raise errors.UserError(
            f"{task} needs data that is missing in --tfds_data_dir {loaders[0].data_dir}: "
            f"{', '.join(missing)}. Add the data with `mtf_synthesizer data prepare`"
        )
    return sorted({split for subtask in tasks for split in _splits(subtask)})


def _loaders(task: str) -> list[seqio.utils.LazyTfdsLoader]:
    """Return the readers of prepared data of a task or mixture."""
    sources = [subtask.source for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))]
    return [source.tfds_dataset for source in sources if isinstance(source, seqio.TfdsDataSource)]


def _splits(task: seqio.Task) -> Sequence[str]:
    try:
        return task.splits
    except Exception as error:  # tensorflow_datasets raises many classes
        raise errors.UserError(_unreadable(task.name, error)) from error


def _unreadable(task: str, error: Exception) -> str:
    """Describe data that is damaged or can't be downloaded."""
    reason = " ".join(str(error).split())[:200]
    folders = [loader.data_dir for loader in _loaders(task) if loader.data_dir]
    if folders:
        return (
            f"{task}: its data in {folders[0]} can't be read ({type(error).__name__}: {reason}). "
            "Prepare it again with `data prepare --overwrite`"
        )
    return (
        f"{task}: its data can't be read ({reason}). Give the folder that `data prepare` has "
        "written: --tfds_data_dir"
    )


def _exists(folder: str, tfds_name: str) -> bool:
    return (paths.of(folder) / tfds_name.replace(":", "/") / "dataset_info.json").exists()
