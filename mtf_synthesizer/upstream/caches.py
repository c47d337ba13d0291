"""Offline caches of training data: their folders and their vocabularies."""

import os
from collections.abc import Sequence

import mtf_synthesizer.runtime.compat

import seqio
import tensorflow.compat.v1 as tf

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder import vocabulary
from mtf_synthesizer.model_folder.vocabulary import RECORD, Described

COMPLETED = "COMPLETED"  # the last file that seqio writes


def read_from(folders: Sequence[str]) -> None:
    """Make all tasks look for their caches in these folders, and only there."""
    seqio.set_global_cache_dirs(list(folders))
    for name in seqio.TaskRegistry.names():  # a task remembers the cache it found before
        task = seqio.TaskRegistry.get(name)
        task._cache_dir = None
        task._stats = {}


def folder(output_cache_dir: str, task: seqio.Task) -> str:
    """Return the folder of a task's cache, as seqio names it."""
    return os.path.join(output_cache_dir, seqio.get_task_dir_from_name(task.name))


def cacheable(name: str) -> list[seqio.Task]:
    """Return the tasks of a task or mixture that support caching.

    Raises:
      errors.UserError: no task supports caching.
    """
    tasks = seqio.get_subtasks(seqio.get_mixture_or_task(name))
    cacheable_tasks = [task for task in tasks if task.supports_caching]
    if not cacheable_tasks:
        raise errors.UserError(
            f"{name} can't be cached: its preprocessors lack seqio.CacheDatasetPlaceholder(). Add "
            "the placeholder after the last preprocessor that is to run before caching"
        )
    return cacheable_tasks


def check(name: str, used: Described) -> None:
    """Raise a UserError unless a task or mixture can be trained from the caches.

    Args:
      name: name of the task or mixture.
      used: vocabularies of the task.

    Raises:
      errors.UserError: a cache is missing or unfinished, or was made with another vocabulary.
    """
    tasks = cacheable(name)
    missing = [task.name for task in tasks if not task.cache_dir]
    if missing:
        raise errors.UserError(
            f"no finished cache of {', '.join(missing)} in --additional_task_cache_dirs "
            f"{' '.join(seqio.get_global_cache_dirs()) or '(not given)'}. Run "
            f"`mtf_synthesizer cache --task {name}`"
        )
    for task in tasks:
        _check_vocabulary(task.cache_dir, used)


def _check_vocabulary(cache: str, used: Described) -> None:
    """Compare with the record of a cache; seqio's own script writes no record."""
    record = vocabulary.read(paths.of(cache))
    if record is not None:
        vocabulary.compare(record, used, f"the cache in {cache}")


def remember(cache: str, used: Described) -> None:
    """Write the record of a cache first; a cache counts only once seqio has finished it."""
    described = {feature: dict(used[feature]) for feature in vocabulary.FEATURES}
    saving.write_json(paths.of(cache) / RECORD, {"package_version": __version__} | described)


def is_cache(path: str) -> bool:
    """Return whether a folder holds a cache, finished or not."""
    return any(tf.io.gfile.exists(os.path.join(path, name)) for name in (COMPLETED, RECORD))


def splits(task: seqio.Task) -> list[str]:
    """Return the cached splits of a task that has a cache."""
    files = tf.io.gfile.glob(seqio.get_cached_info_path(task.cache_dir, "*"))
    return sorted(os.path.basename(file).split(".")[1] for file in files)
