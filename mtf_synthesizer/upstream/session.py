"""T5's and Mesh's own functions under one gin configuration at a time.

gin and SeqIO keep their state in globals. A configuration leaves nothing behind there, so that one
process can train models of different kinds.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import mtf_synthesizer.runtime.compat

import gin
import seqio
import t5.models.mesh_transformer
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.request import FLOAT32_FILE, Configuration
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.upstream import caches, data_folder, devices, fast, gin_reader, old_selectors
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.tasks import (
    OWN_DATA,
    T5_TASKS,
    check_task,
    configured_task,
    known_tasks,
)
from mtf_synthesizer.upstream.vocabulary import choose

# What gin's RuntimeError and Mesh's ValueError say where a binding is absent that they need.
_INCOMPLETE = ("Required bindings for", "through gin")


@contextlib.contextmanager
def configured(configuration: Configuration, verbose: bool) -> Iterator[None]:
    """Set up a fresh gin configuration inside, and clear it afterwards."""
    loading.set_log_levels(verbose)
    tf.disable_v2_behavior()
    fast.install()
    gin.clear_config()
    old_selectors.register()
    for folder in gin_files.search_path():
        if not any(str(folder) == known for known in _search_path):
            gin.add_config_file_search_path(str(folder))
            _search_path.append(str(folder))
    try:
        with with_tasks(configuration):
            _parse(configuration, verbose)
            yield
    except (RuntimeError, ValueError) as error:
        if not any(words in str(error) for words in _INCOMPLETE):
            raise
        own_files = ", ".join(file for file in configuration.files if gin_files.is_own(file))
        raise errors.UserError(
            f"the configuration is incomplete: {str(error).splitlines()[0]}. Is one of "
            f"{own_files or 'its files'} truncated, or a --gin_file missing?"
        ) from error
    finally:
        gin.clear_config()


def _parse(configuration: Configuration, verbose: bool) -> None:
    try:
        reader = TrustedReader(configuration.modules)
        with loading.without_messages(not verbose), gin_reader.checked(reader):
            gin.parse_config_files_and_bindings(
                [str(gin_files.mesh_defaults()), FLOAT32_FILE, *configuration.files],
                configuration.params,
                finalize_config=False,
                skip_unknown=_DEPRECATED,
            )
            _bind_vocabulary()
        gin.finalize()
    except (ValueError, ImportError, SyntaxError, OSError) as error:
        raise errors.UserError(f"gin configuration: {error}") from error


def _bind_vocabulary() -> None:
    """Bind T5's vocabulary function, as T5's entry point does; no run's file can hold it."""
    if "vocabulary" not in gin.get_bindings("run", resolve_references=False):
        gin.parse_config("run.vocabulary = @t5.models.mesh_transformer.get_vocabulary()")


@contextlib.contextmanager
def with_tasks(configuration: Configuration) -> Iterator[None]:
    """Give tasks the vocabulary and the data folders of a configuration inside."""
    choose(configuration.vocabulary)
    import_modules(configuration.modules)
    own = importlib.import_module(OWN_DATA) if configuration.own_data else None
    if own:
        own.register(configuration.own_data)
    data_folder.read_from(configuration.tfds_data_dir)
    caches.read_from(configuration.task_cache_dirs)
    try:
        yield
    finally:
        if own:
            own.remove()
        choose(None)
        data_folder.read_from(None)
        caches.read_from(())


_search_path: list[str] = []
_DEPRECATED = (*t5.models.mesh_transformer.DEPRECATED_GIN_REFERENCES, *names.DEPRECATED)


def import_modules(modules: Sequence[str]) -> None:
    """Import modules that a user named, searching the working directory too.

    Raises:
      errors.UserError: a module is missing, or fails while it is imported.
    """
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for module in modules:
        try:
            with _t5s_tasks_for_mixtures():
                importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and module.startswith(error.name):
                raise errors.UserError(f"--module_import: no module named {module!r}") from error
            raise errors.UserError(_failed_import(module, error)) from error
        except errors.UserError:
            raise
        except Exception as error:  # the user's own module may raise anything
            raise errors.UserError(_failed_import(module, error)) from error


@contextlib.contextmanager
def _t5s_tasks_for_mixtures() -> Iterator[None]:
    """Import T5's tasks, which is slow, when a mixture that is defined inside names one."""
    stock: Any = seqio.Mixture.__init__

    def init(
        mixture: seqio.Mixture, name: str, tasks: Sequence[Any], *rest: Any, **more: Any
    ) -> None:
        parts = [part[0] if isinstance(part, tuple) else part for part in tasks]
        if {part for part in parts if isinstance(part, str)}.difference(known_tasks()):
            importlib.import_module(T5_TASKS)
        stock(mixture, name, tasks, *rest, **more)

    with mock.patch.object(seqio.Mixture, "__init__", init):
        yield


def _failed_import(module: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"--module_import {module} fails: {reason} (--verbose shows where)"


def build(model_dir: str | os.PathLike[str], **overrides: Any) -> Model:
    """Make Mesh's `run` resolve the configuration, and return what it would train with.

    Raises:
      errors.UserError: an unknown task, or a batch that the mesh can't divide.
    """
    check_task(configured_task(), model_dir)  # the task determines the vocabulary
    if "batch_size" in overrides:
        devices.check_batch(overrides["batch_size"])
    built: list[Model] = []

    def take(
        estimator: Any,
        vocabulary: Any,
        sequence_length: dict[str, int],
        batch_size: int,
        train_dataset_fn: Callable[..., tf.data.Dataset],
        train_steps: int,
        ensemble_inputs: int | None,
        **unused: Any,
    ) -> None:
        if ensemble_inputs:
            raise errors.UserError("run.ensemble_inputs is set, but ensembles are not supported")
        model_type = gin.get_bindings("run", resolve_references=False).get("model_type")
        built.append(
            Model(
                estimator,
                vocabulary,
                sequence_length,
                batch_size,
                train_dataset_fn,
                train_steps,
                model_type or "bitransformer",
            )
        )

    _run(model_dir, "train", train_model_fn=take, **overrides)
    return built[0]


def build_scorer(model_dir: str | os.PathLike[str], **overrides: Any) -> Any:
    """Return Mesh's Estimator whose predictions are `targets` and their log-likelihoods, `scores`.

    Raises:
      errors.UserError: a batch that the mesh can't divide.
    """
    if "batch_size" in overrides:
        devices.check_batch(overrides["batch_size"])
    scorers: list[Any] = []
    with mock.patch.object(
        utils, "score_from_dataset", lambda scorer, *rest: scorers.append(scorer)
    ):
        # A function that decodes would be called to score.
        _run(model_dir, "score_from_dataset", predict_fn=None, **overrides)
    return scorers[0]


def _run(model_dir: str | os.PathLike[str], mode: str, **overrides: Any) -> None:
    utils.run(
        tpu_job_name=None,
        tpu=None,
        gcp_project=None,
        tpu_zone=None,
        model_dir=str(model_dir),
        mode=mode,
        **overrides,
    )
