"""Offline caches of tasks, made by seqio's own Apache Beam pipeline.

A cache holds the output of a task's preprocessors up to its `seqio.CacheDatasetPlaceholder()`,
mostly token ids. Only this module uses Beam, which is not installed by default.
"""

import contextlib
import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import apache_beam as beam
import seqio
import tensorflow.compat.v1 as tf
from absl import flags
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from seqio.scripts import cache_tasks_main

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.upstream import beam_workers, caches, data_folder, session
from mtf_synthesizer.upstream.tasks import T5_TASKS, check_task, remember_cache
from mtf_synthesizer.upstream.vocabulary import BYTES, choice, choose

# The runner behind DirectRunner; for that name Beam would first download another runner.
LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@dataclasses.dataclass(frozen=True)
class CacheOptions:
    """Options of `make`.

    Attributes:
      pipeline_options: Beam's own flags; the default runner is LOCAL_RUNNER.
      min_shards: minimal number of files per split.
      overwrite: whether to replace existing caches.
      verbose: whether Beam and TensorFlow log.
    """

    pipeline_options: Sequence[str] = ()
    min_shards: int = 64
    overwrite: bool = False
    verbose: bool = False


def make(
    tasks: Sequence[str], output_cache_dir: str, configuration: Configuration, options: CacheOptions
) -> list[str]:
    """Cache all splits of tasks, and wait for the end.

    Args:
      tasks: seqio tasks, and mixtures, whose cacheable tasks are meant.
      output_cache_dir: folder in which each task gets a folder; workers on other machines must be
        able to write there.
      configuration: the vocabulary, the data and the modules that register the tasks.
      options: Beam's flags, numbers of files, overwriting and logs.

    Returns:
      The folders of the caches.

    Raises:
      errors.UserError: a task is unknown, can't be cached, has no data or has a cache, or an option
        is wrong. Nothing has been changed.
    """
    loading.set_log_levels(options.verbose)
    output_cache_dir = _from_anywhere(output_cache_dir)
    configuration = dataclasses.replace(
        configuration,
        vocabulary=configuration.vocabulary and _from_anywhere(configuration.vocabulary),
        tfds_data_dir=configuration.tfds_data_dir and _from_anywhere(configuration.tfds_data_dir),
    )
    with loading.without_messages(not options.verbose), session.with_tasks(configuration):
        chosen = list({task.name: task for name in tasks for task in _cacheable(name)}.values())
        folders = {task.name: caches.folder(output_cache_dir, task) for task in chosen}
        for folder in folders.values():
            _check_free(folder, options.overwrite)
        pipeline = _pipeline(options.pipeline_options)
        for name, folder in folders.items():
            if tf.io.gfile.exists(folder):
                tf.io.gfile.rmtree(folder)
            remember_cache(name, folder)
        _parse_flags(options.min_shards)
        modules = [*configuration.modules, *({T5_TASKS} & set(sys.modules))]
        with beam_workers.prepared(configuration.tfds_data_dir), pipeline:
            cache_tasks_main.run_pipeline(
                pipeline,
                [re.escape(name) for name in folders],
                output_cache_dir,
                modules_to_import=modules,
            )
    return list(folders.values())


def _from_anywhere(path: str) -> str:
    """Return a path that means the same to a worker in another working directory."""
    return path if path == BYTES or "://" in path else os.path.abspath(path)


def _cacheable(name: str) -> list[seqio.Task]:
    """Return the cacheable tasks of a task or mixture; check that their data exists."""
    check_task(name)
    tasks = caches.cacheable(name)
    for task in tasks:
        for split in data_folder.splits(task.name):
            try:
                task.source.list_shards(split)
            except Exception as error:  # tensorflow_datasets and file systems raise many classes
                raise errors.UserError(
                    f"{task.name}: the data of its split {split!r} can't be read "
                    f"({type(error).__name__}: {' '.join(str(error).split())[:200]}). Prepare it "
                    "with `mtf_synthesizer data prepare` and give its folder: --tfds_data_dir"
                ) from error
    return tasks


def _check_free(folder: str, overwrite: bool) -> None:
    """Raise a UserError if a folder has content that must not be replaced."""
    if not tf.io.gfile.exists(folder) or (overwrite and caches.is_cache(folder)):
        return
    if not caches.is_cache(folder):
        raise errors.UserError(f"{folder} exists, but is not a cache: give another folder")
    finished = tf.io.gfile.exists(os.path.join(folder, caches.COMPLETED))
    state = "a cache" if finished else "an unfinished cache, perhaps of a running command"
    raise errors.UserError(f"{folder} holds {state}: replace it with --overwrite")


def _pipeline(arguments: Sequence[str]) -> beam.Pipeline:
    """Return a pipeline with Beam's options.

    Raises:
      errors.UserError: an unknown runner, or an unknown option for the local runner.
    """
    options = PipelineOptions(list(arguments))
    known = _parsed(options)
    standard = options.view_as(StandardOptions)
    if standard.runner is None:
        _check_known(options, known)
        standard.runner = LOCAL_RUNNER
    try:
        return beam.Pipeline(options=options)
    except (ImportError, ValueError) as error:
        raise errors.UserError(f"--pipeline_options: {' '.join(str(error).split())}") from error


def _parsed(options: PipelineOptions) -> dict[str, Any]:
    """Return all options that Beam knows; argparse itself would exit with a long usage text."""
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(shown):
            return options.get_all_options()
    except SystemExit as error:
        reason = shown.getvalue().rpartition("error: ")[2].strip()
        raise errors.UserError(f"--pipeline_options: {reason}") from error


def _check_known(options: PipelineOptions, known: Iterable[str]) -> None:
    """Check option names: a cluster may have others, but a misspelt --runner must not pass."""
    for option in sorted(set(options.get_all_options(retain_unknown_options=True)) - set(known)):
        raise errors.UserError(
            f"--pipeline_options: unknown option --{option}.{errors.suggestion(option, known)}"
        )


def _parse_flags(min_shards: int) -> None:
    """Set seqio's script flags, from which its pipeline takes some settings."""
    flags.FLAGS(["cache", f"--min_shards={min_shards}"])


def describe(folder: str) -> str:
    """Return a line for each split of a cache: examples, tokens and files."""
    lines = [folder]
    for path in sorted(tf.io.gfile.glob(seqio.get_cached_stats_path(folder, "*"))):
        split = os.path.basename(path).split(".")[1]
        stats, info = _read(path), _read(seqio.get_cached_info_path(folder, split))
        tokens = [
            f"{count:,} tokens of {feature.removesuffix('_tokens')}"
            for feature, count in stats.items()
            if feature.endswith("_tokens") and not feature.endswith("max_tokens") and count
        ]
        parts = [f"{stats['examples']:,} examples", *tokens, f"{info['num_shards']} files"]
        lines.append(f"  {split}: {', '.join(parts)}")
    return "\n".join(lines)


def _read(path: str) -> dict[str, Any]:
    with tf.io.gfile.GFile(path) as file:
        return json.load(file)
