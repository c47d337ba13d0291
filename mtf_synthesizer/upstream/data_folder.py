"""The folder of prepared data: --tfds_data_dir, or the default of tensorflow_datasets."""

import fnmatch
from collections.abc import Sequence

import mtf_synthesizer.runtime.compat

import seqio
from tensorflow_datasets.core.utils import gcs_utils

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.upstream import epath_schemes, newer_data_sets

_OFFICIAL = ("train", "validation", "test")


_given: list[str] = []


def read_from(folder: str | None) -> None:
    """Make all tasks read prepared data from a folder; None restores the default.

    A task with a `tfds_data_dir` of its own keeps it for data that the folder lacks.

    With a folder, seqio must not look on a server first. Without a network that takes time. With a
    network it fails for existing data sets ("Cannot have both `try_gcs=True` and `data_dir`").
    """
    newer_data_sets.make_readable()
    if folder is not None:
        epath_schemes.make_known(folder)
    seqio.set_tfds_data_dir_override(folder)
    gcs_utils._is_gcs_disabled = folder is not None
    _given[:] = [] if folder is None else [folder]
    # The setting above reaches only tasks that were not used before.
    for name in seqio.TaskRegistry.names():
        source = seqio.TaskRegistry.get(name).source
        if isinstance(source, seqio.TfdsDataSource):
            _choose_folder(source.tfds_dataset)


def _choose_folder(loader: seqio.utils.LazyTfdsLoader) -> None:
    folder = _given[0] if _given else None
    own = loader._data_dir
    if folder and own and prepared(folder, loader.name) is None:
        folder = own
    loader.override_data_dir(folder)


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
    names = [subtask.name for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))]
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
    missing: dict[str, set[str]] = {}
    for loader in _loaders(task):
        if loader.data_dir and prepared(loader.data_dir, loader.name) is None:
            missing.setdefault(loader.data_dir, set()).add(loader.name)
    if missing:
        places = "; ".join(
            f"in {_shown(folder)}: {', '.join(sorted(names))}" for folder, names in missing.items()
        )
        raise errors.UserError(
            f"{task} needs data that is missing {places}. Add the data with `mtf_synthesizer data "
            "prepare`"
        )
    return sorted({split for subtask in tasks for split in _splits(subtask)})


def _shown(folder: str) -> str:
    if folder in _given:
        return f"--tfds_data_dir {folder}"
    also = f" and --tfds_data_dir {_given[0]}" if _given else ""
    return f"the task's own tfds_data_dir {folder}{also}"


def _loaders(task: str) -> list[seqio.utils.LazyTfdsLoader]:
    """Return the readers of prepared data of a task or mixture."""
    sources = [subtask.source for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))]
    loaders = [
        source.tfds_dataset for source in sources if isinstance(source, seqio.TfdsDataSource)
    ]
    for loader in loaders:  # a task may have been registered after `read_from`
        _choose_folder(loader)
    return loaders


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


def prepared(folder: str, tfds_name: str) -> paths.Path | None:
    """Return the directory of a prepared data set in a folder; None if it is missing.

    Args:
      folder: as --tfds_data_dir.
      tfds_name: name, configuration and version; of a wildcard as 1.*.* the latest version counts.
    """
    name, _, version = tfds_name.partition(":")
    directory = paths.of(folder) / name
    folders = [directory / version]
    if "*" in version:
        versions = [path for path in paths.matching(directory, "*") if _has_version(path, version)]
        folders = sorted(versions, key=_version, reverse=True)
    return next((path for path in folders if (path / "dataset_info.json").exists()), None)


def _has_version(directory: paths.Path, pattern: str) -> bool:
    return bool(_version(directory)) and fnmatch.fnmatchcase(directory.name, pattern)


def _version(directory: paths.Path) -> list[int]:
    parts = directory.name.split(".")
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []
