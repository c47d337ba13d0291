"""T5's and Mesh's own functions under one gin configuration at a time.

The only module that touches the globals of gin and seqio. Nothing is left of a configuration
afterwards, so that models of different kinds can be trained in one process.
"""

import contextlib
import dataclasses
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import mtf_synthesizer.compat

import gin
import numpy as np
import seqio
import t5.models.mesh_transformer
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import (
    bindings,
    decoding,
    mesh_devices,
    names,
    quiet,
    task_caches,
    task_data,
    vocabulary_record,
)
from mtf_synthesizer.configuration import FLOAT32_FILE, Configuration
from mtf_synthesizer.tasks import recipes, vocabularies


@dataclasses.dataclass(frozen=True)
class Model:
    """What Mesh's `run` makes of a configuration; the meaning of the fields is that of `run`."""

    estimator: Any
    vocabulary: Any
    sequence_length: dict[str, int]
    batch_size: int
    train_dataset_fn: Callable[..., tf.data.Dataset]
    train_steps: int
    model_type: str


@contextlib.contextmanager
def configured(wanted: Configuration, verbose: bool) -> Iterator[None]:
    """A fresh gin configuration inside, none outside."""
    quiet.set_log_levels(verbose)
    tf.disable_v2_behavior()
    gin.clear_config()
    for folder in names.search_path():
        if not any(str(folder) == known for known in _search_path):
            gin.add_config_file_search_path(str(folder))
            _search_path.append(str(folder))
    try:
        with with_tasks(wanted):
            _parse(wanted, verbose)
            yield
    except RuntimeError as error:  # gin's
        if "Required bindings for" not in str(error):
            raise
        own = ", ".join(file for file in wanted.files if names.is_own(file))
        raise names.UserError(
            f"the configuration is not complete: {str(error).splitlines()[0]}. Is one of "
            f"{own or 'its files'} cut off, or a --gin_file missing?"
        ) from error
    finally:
        gin.clear_config()


def _parse(wanted: Configuration, verbose: bool) -> None:
    try:
        with quiet.without_messages(not verbose):
            gin.parse_config_files_and_bindings(
                [str(names.mesh_defaults()), FLOAT32_FILE, *wanted.files],
                wanted.params,
                finalize_config=False,
                skip_unknown=_DEPRECATED,
            )
            _bind_vocabulary()
        gin.finalize()
    except (ValueError, ImportError, SyntaxError, OSError) as error:
        raise names.UserError(f"gin configuration: {error}") from error


def _bind_vocabulary() -> None:
    """As T5's entry point, which binds an object that the configuration of a run can't hold."""
    if "vocabulary" not in gin.get_bindings("run", resolve_references=False):
        gin.parse_config("run.vocabulary = @t5.models.mesh_transformer.get_vocabulary()")


@contextlib.contextmanager
def with_tasks(wanted: Configuration) -> Iterator[None]:
    """Inside, tasks have the vocabulary and read the data of a configuration."""
    vocabularies.choose(wanted.vocabulary)
    import_modules(wanted.modules)
    task_data.read_from(wanted.tfds_data_dir)
    task_caches.read_from(wanted.task_cache_dirs)
    try:
        yield
    finally:
        vocabularies.choose(None)
        task_data.read_from(None)
        task_caches.read_from(())


_search_path: list[str] = []
_DEPRECATED = (*t5.models.mesh_transformer.DEPRECATED_GIN_REFERENCES, *bindings.DEPRECATED)


def import_modules(modules: Sequence[str]) -> None:
    """Imports modules a user named, looking in the working directory too.

    Raises:
      names.UserError: one is not there, or fails while it is imported.
    """
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and module.startswith(error.name):
                raise names.UserError(f"--module_import: no module named {module!r}") from error
            raise names.UserError(_failed_import(module, error)) from error
        except names.UserError:
            raise
        except Exception as error:  # whatever the user's own module does
            raise names.UserError(_failed_import(module, error)) from error


def _failed_import(module: str, error: Exception) -> str:
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"--module_import {module} fails: {said} (--verbose shows where)"


def build(model_dir: str | os.PathLike[str], **overrides: Any) -> Model:
    """Lets Mesh's `run` resolve the configuration, and takes what it would train with.

    Raises:
      names.UserError: an unknown task, or a batch that the mesh can't divide.
    """
    check_task(configured_task())  # its vocabulary is looked up there
    if "batch_size" in overrides:
        mesh_devices.check_batch(overrides["batch_size"])
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
            raise names.UserError("run.ensemble_inputs is set, but ensembles are not supported")
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

    utils.run(
        tpu_job_name=None,
        tpu=None,
        gcp_project=None,
        tpu_zone=None,
        model_dir=str(model_dir),
        mode="train",
        train_model_fn=take,
        **overrides,
    )
    return built[0]


# T5's own tasks and ours that are made of them: slow to import.
T5_TASKS = "mtf_synthesizer.tasks.t5_mixtures"


def known_tasks() -> list[str]:
    """Names of every registered task and mixture."""
    return sorted({*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()})


def configured_task() -> str:
    """The task of a configuration: T5's macro, else what the training data is bound to.

    Raises:
      names.UserError: it has none.
    """
    try:
        return str(gin.query_parameter("%MIXTURE_NAME"))
    except ValueError as error:
        bound = gin.get_bindings("mesh_train_dataset_fn").get("mixture_or_task_name")
        if bound is None:
            raise names.UserError(
                "the configuration names no task: bind MIXTURE_NAME = '...'. Of a trained model: "
                "is its operative_config.gin empty or cut off?"
            ) from error
        return str(bound)


def check_task(task: str) -> None:
    """Raises a UserError with a suggestion unless the task is registered."""
    if task not in known_tasks():
        importlib.import_module(T5_TASKS)
    names.check("task", task, known_tasks())


def check_features(task: str, model: Model) -> None:
    """Raises a UserError if a model of this kind can't be trained on the task."""
    features = seqio.get_mixture_or_task(task).output_features
    tasks = {each.name for each in seqio.get_subtasks(seqio.get_mixture_or_task(task))}
    is_encoder = model.model_type == "aligned"
    if (model.model_type == "lm") == ("inputs" in features):
        advice = {
            "lm": "choose a size without _lm, or --gin_param=\"run.model_type = 'delimited_lm'\"",
        }.get(model.model_type, "choose a size ending in _lm")
        what = f"the features {', '.join(features)}"
    elif not is_encoder and tasks & recipes.ALIGNED:
        what, advice = "one target for each input token", "choose a size ending in _encoder"
    elif is_encoder and any(feature.add_eos for feature in features.values()):
        what = "inputs and targets that end with EOS each"
        advice = "choose a size without _encoder, or a task with one target for each input token"
    else:
        return
    raise names.UserError(
        f"the task {task} has {what}, which a model of type {model.model_type!r} can't be trained "
        f"on: {advice}"
    )


def check_data(task: str) -> None:
    """Raises a UserError unless what a task is trained from is there, its data or its caches."""
    if _trains_from_caches():
        task_caches.check(task, _described(task))
    else:
        task_data.check(task, "train")


def _trains_from_caches() -> bool:
    return bool(gin.get_bindings("mesh_train_dataset_fn").get("use_cached"))


def check_vocabulary(task: str, model_dir: str | os.PathLike[str]) -> None:
    """Raises a UserError if the task's vocabularies are not those of the model's folder."""
    record = vocabulary_record.read(model_dir)
    if record is not None and _needs_t5s(task) and not _may_be_t5s(record):
        raise names.UserError(
            f"{task} has T5's vocabulary unless --vocabulary says otherwise, but the model in "
            f"{model_dir} was made with that of its own task: {vocabulary_record.shown(record)}. "
            "Choose a task with that vocabulary"
        )
    vocabulary_record.check(model_dir, _described(task))


def _needs_t5s(task: str) -> bool:
    """Whether a task would have T5's public vocabulary, which may be out of reach."""
    is_chosen = (isinstance(v, vocabularies.ChosenVocabulary) for v in _vocabularies(task).values())
    return vocabularies.choice() == vocabularies.T5_MODEL and any(is_chosen)


def _may_be_t5s(record: Mapping[str, Any]) -> bool:
    was_chosen = record.get("chosen") in vocabulary_record.FEATURES
    return was_chosen or record["targets"].get("file") == vocabularies.T5_MODEL


def remember_vocabulary(task: str, model_dir: str | os.PathLike[str]) -> None:
    """Writes what `check_vocabulary` compares with into the model's folder."""
    chosen = [
        (feature, vocabulary)
        for feature, vocabulary in _vocabularies(task).items()
        if isinstance(vocabulary, vocabularies.ChosenVocabulary)
    ]
    feature, vocabulary = chosen[0] if chosen else (None, None)
    described = _described(task)
    keep = feature is not None and described[feature]["kind"] == "sentencepiece"
    vocabulary_record.remember(
        model_dir, described, feature, vocabularies.model_bytes(vocabulary) if keep else None
    )


def remember_cache(task: str, cache: str) -> None:
    """Writes what `check_data` compares with into the folder of a task's cache."""
    task_caches.remember(cache, _described(task))


def _vocabularies(task: str) -> dict[str, seqio.Vocabulary]:
    features = seqio.get_mixture_or_task(task).output_features
    return {
        name: features[name if name in features else "targets"].vocabulary
        for name in vocabulary_record.FEATURES
    }


def _described(task: str) -> dict[str, dict[str, Any]]:
    return {name: vocabularies.describe(each) for name, each in _vocabularies(task).items()}


def example_sets(
    task: str, split: str, model: Model, limit: int | None
) -> list[decoding.ExampleSet]:
    check_task(task)
    task_data.check(task, split)
    check_vocabulary(task, model.estimator.model_dir)
    return [
        decoding.load(each, split, model.sequence_length, limit)
        for each in seqio.get_subtasks(seqio.get_mixture_or_task(task))
        if split in each.splits
    ]


def probe_features(task: str, model: Model) -> dict[str, np.ndarray]:
    """A few examples to look at the attention with, of the validation split where there is one."""
    first = seqio.get_subtasks(seqio.get_mixture_or_task(task))[0]
    cached = _trains_from_caches() and first.supports_caching
    splits = task_caches.splits(first) if cached else first.splits
    split = "validation" if "validation" in splits else "train"
    return decoding.load(first, split, model.sequence_length, 4, cached).arrays()
