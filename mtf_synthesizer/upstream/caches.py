"""Offline caches that tasks are trained from: where they are looked for, and whether they fit."""

import json
import os
from collections.abc import Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import seqio
import tensorflow.compat.v1 as tf

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.model_folder import vocabulary
from mtf_synthesizer.model_folder.vocabulary import RECORD, Described

COMPLETED = "COMPLETED"  # the file that seqio writes last


def read_from(folders: Sequence[str]) -> None:
    """Lets all tasks look for their caches in folders, and only there."""
    seqio.set_global_cache_dirs(list(folders))
    for name in seqio.TaskRegistry.names():  # a task would keep what it found before
        task = seqio.TaskRegistry.get(name)
        task._cache_dir = None
        task._stats = {}


def folder(output_cache_dir: str, task: seqio.Task) -> str:
    """Where seqio keeps the cache of a task."""
    return os.path.join(output_cache_dir, seqio.get_task_dir_from_name(task.name))


def cacheable(name: str) -> list[seqio.Task]:
    """The tasks of a task or mixture that can be cached.

    Raises:
      errors.UserError: there is none.
    """
    tasks = seqio.get_subtasks(seqio.get_mixture_or_task(name))
    found = [task for task in tasks if task.supports_caching]
    if not found:
        raise errors.UserError(
            f"{name} can't be cached: no seqio.CacheDatasetPlaceholder() among its preprocessors "
            "says which of them are to run before"
        )
    return found


def check(name: str, used: Described) -> None:
    """Raises a UserError unless a task or mixture can be trained from the caches.

    Args:
      name: of the task or mixture.
      used: its vocabularies.
    """
    tasks = cacheable(name)
    lacking = [task.name for task in tasks if not task.cache_dir]
    if lacking:
        raise errors.UserError(
            f"no finished cache of {', '.join(lacking)} in --additional_task_cache_dirs "
            f"{' '.join(seqio.get_global_cache_dirs()) or '(not given)'}. `mtf_synthesizer cache "
            f"--task {name}` makes one"
        )
    for task in tasks:
        _check_vocabulary(task.cache_dir, used)


def _check_vocabulary(cache: str, used: Described) -> None:
    """Compares with the record of a cache; that of seqio's own script has none."""
    path = os.path.join(cache, RECORD)
    if not tf.io.gfile.exists(path):
        return
    with tf.io.gfile.GFile(path) as file:
        vocabulary.compare(json.load(file), used, f"the cache in {cache}")


def remember(cache: str, used: Described) -> None:
    """Writes the record of a cache before there is one: it counts only once seqio has finished."""
    tf.io.gfile.makedirs(cache)
    record: dict[str, Any] = {"package_version": __version__}
    record |= {feature: dict(used[feature]) for feature in vocabulary.FEATURES}
    with tf.io.gfile.GFile(os.path.join(cache, RECORD), "w") as file:
        file.write(json.dumps(record, indent=2) + "\n")


def is_cache(path: str) -> bool:
    """Whether a folder holds a cache, finished or not."""
    return any(tf.io.gfile.exists(os.path.join(path, name)) for name in (COMPLETED, RECORD))


def splits(task: seqio.Task) -> list[str]:
    """The cached splits of a task that has a cache."""
    files = tf.io.gfile.glob(seqio.get_cached_info_path(task.cache_dir, "*"))
    return sorted(os.path.basename(file).split(".")[1] for file in files)
