"""Where tasks read their data: the folder of --tfds_data_dir, or that of tensorflow_datasets."""

from collections.abc import Sequence

import mtf_synthesizer.runtime.compat

import seqio
from tensorflow_datasets.core.utils import gcs_utils

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.upstream import epath_schemes, newer_data_sets

_OFFICIAL = ("train", "validation", "test")


def read_from(folder: str | None) -> None:
    """Lets all tasks read prepared data from a folder; None is the usual place.

    Of a folder nothing is looked up on a server: seqio tries that first, which takes time without
    a network and, with one, fails for data sets that are there ("Cannot have both `try_gcs=True`
    and `data_dir`").
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
    """Raises a UserError unless a task or mixture has a split and the folder has its data sets."""
    known = splits(task)
    try:
        errors.check(f"split of {task}", split, known)
    except errors.UserError as error:
        if not _loaders(task) or split not in _OFFICIAL:
            raise
        raise errors.UserError(
            f"{error} If the official files have it, `mtf_synthesizer data prepare --overwrite` "
            "adds it to data that was prepared without"
        ) from error


def splits(task: str) -> list[str]:
    """The splits of a task or mixture.

    Without a folder data is not looked for: tensorflow_datasets downloads what it lacks.

    Raises:
      errors.UserError: the folder lacks a data set.
    """
    tasks = seqio.get_subtasks(seqio.get_mixture_or_task(task))
    loaders = _loaders(task)
    lacking = sorted(
        {each.name for each in loaders if each.data_dir and not _is_there(each.data_dir, each.name)}
    )
    if lacking:
        raise errors.UserError(
            f"{task} needs data that is not in --tfds_data_dir {loaders[0].data_dir}: "
            f"{', '.join(lacking)}. Add it with `mtf_synthesizer data prepare`"
        )
    return sorted({name for each in tasks for name in _splits(each)})


def _loaders(task: str) -> list[seqio.utils.LazyTfdsLoader]:
    """What reads prepared data for a task or mixture."""
    sources = [each.source for each in seqio.get_subtasks(seqio.get_mixture_or_task(task))]
    return [each.tfds_dataset for each in sources if isinstance(each, seqio.TfdsDataSource)]


def _splits(task: seqio.Task) -> Sequence[str]:
    try:
        return task.splits
    except Exception as error:  # of tensorflow_datasets, which has many
        raise errors.UserError(_unreadable(task.name, error)) from error


def _unreadable(task: str, error: Exception) -> str:
    """What is said of data that is damaged, or that can't be downloaded."""
    said = " ".join(str(error).split())[:200]
    folders = [each.data_dir for each in _loaders(task) if each.data_dir]
    if folders:
        return (
            f"{task}: nothing can be read of its data in {folders[0]} ({type(error).__name__}: "
            f"{said}). Make it again with `data prepare --overwrite`"
        )
    return (
        f"{task}: nothing is known of its data ({said}). Give the folder where `data prepare` has "
        "put it: --tfds_data_dir"
    )


def _is_there(folder: str, tfds_name: str) -> bool:
    return (paths.of(folder) / tfds_name.replace(":", "/") / "dataset_info.json").exists()
