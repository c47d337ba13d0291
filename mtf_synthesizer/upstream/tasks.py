"""SeqIO tasks and mixtures, checked against a configuration."""

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import gin
import seqio

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import run_file
from mtf_synthesizer.model_folder.vocabulary import (
    FEATURES,
    UsedVocabulary,
    check,
    read,
    shown,
)
from mtf_synthesizer.upstream import caches, data_folder
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import (
    T5_MODEL,
    ChosenVocabulary,
    choice,
    describe,
    model_bytes,
)

# T5's own tasks and the mixtures built from them, which are slow to import.
T5_TASKS = "mtf_synthesizer.tasks.t5_mixtures"
# Registers and removes the task on a user's own files.
OWN_DATA = "mtf_synthesizer.tasks.own_data"
_SHOWN = 4  # tasks of a mixture in its description


def known_tasks() -> list[str]:
    """Return the names of every registered task and mixture."""
    return sorted({*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()})


def description(name: str) -> str:
    """Describe a registered task or mixture in a line: features and metrics, or tasks."""
    provider = seqio.get_mixture_or_task(name)
    if isinstance(provider, seqio.Mixture):
        parts = [task.name for task in seqio.get_subtasks(provider)]
        return f"mixture of {len(parts)} tasks: {', '.join(parts[:_SHOWN])}" + (
            ", ..." if len(parts) > _SHOWN else ""
        )
    names = [getattr(metric, "__name__", type(metric).__name__) for metric in provider.metric_fns]
    metrics = ", ".join(dict.fromkeys(names)) or "loss"
    return f"{' -> '.join(provider.output_features)}; {metrics}"


def configured_task() -> str:
    """Return the task of a configuration: T5's macro, else the binding of the training data.

    Raises:
      errors.UserError: the configuration has no task.
    """
    try:
        return str(gin.query_parameter("%MIXTURE_NAME"))
    except ValueError as error:
        bound = gin.get_bindings("mesh_train_dataset_fn").get("mixture_or_task_name")
        if bound is None:
            raise errors.UserError(
                "the configuration names no task: bind MIXTURE_NAME = '...'. For a trained model: "
                "is its operative_config.gin empty or truncated?"
            ) from error
        return str(bound)


def check_task(task: str, *model_dirs: str | os.PathLike[str]) -> None:
    """Raise a UserError with a suggestion unless the task is registered.

    Args:
      task: name of the task or mixture.
      model_dirs: folders of models. The message names the modules that their runs had imported.
        They are never imported because a folder names them: a folder may come from a stranger.
    """
    if task not in known_tasks():
        importlib.import_module(T5_TASKS)
    try:
        errors.check("task", task, known_tasks())
    except errors.UserError as error:
        raise errors.UserError(f"{error}{_modules_to_give(model_dirs)}") from error


def _modules_to_give(model_dirs: Iterable[str | os.PathLike[str]]) -> str:
    """Return a sentence about modules of runs that are not imported; empty without any."""
    folders = {
        module: str(folder)
        for folder in model_dirs
        for module in run_file.modules(paths.of(folder) / run_file.RECORD)
        if module not in sys.modules
    }
    if not folders:
        return ""
    flags = " ".join(f"--module_import {module}" for module in folders)
    places = ", ".join(dict.fromkeys(folders.values()))
    return f" The run of {places} had {flags}: give that if you trust the code"


def check_features(task: str, model: Model) -> None:
    """Raise a UserError if a model of this type can't be trained on the task."""
    features = seqio.get_mixture_or_task(task).output_features
    tasks = {subtask.name for subtask in seqio.get_subtasks(seqio.get_mixture_or_task(task))}
    is_encoder = model.model_type == "aligned"
    if (model.model_type == "lm") == ("inputs" in features):
        advice = {
            "lm": "choose a size without _lm, or --gin_param=\"run.model_type = 'delimited_lm'\"",
        }.get(model.model_type, "choose a size ending in _lm")
        requirement = f"the features {', '.join(features)}"
    elif not is_encoder and tasks & ALIGNED:
        requirement, advice = "one target for each input token", "choose a size ending in _encoder"
    elif is_encoder and any(feature.add_eos for feature in features.values()):
        requirement = "inputs and targets that end with EOS each"
        advice = "choose a size without _encoder, or a task with one target for each input token"
    else:
        return
    raise errors.UserError(
        f"the task {task} has {requirement}, which a model of type {model.model_type!r} can't be "
        f"trained on: {advice}"
    )


def check_data(task: str) -> None:
    """Raise a UserError unless the training data of a task, or its cache, exists."""
    if trains_from_caches():
        caches.check(task, _described(task))
    else:
        data_folder.check(task, "train")


def trains_from_caches() -> bool:
    """Return whether the configuration trains from caches."""
    return bool(gin.get_bindings("mesh_train_dataset_fn").get("use_cached"))


def check_vocabulary(task: str, folder: paths.Path) -> None:
    """Raise a UserError if the task's vocabularies differ from those of the model's folder."""
    record = read(folder)
    if record is not None and _needs_t5s(task) and not _may_be_t5s(record):
        raise errors.UserError(
            f"{task} has T5's vocabulary by default, but the model in {folder} was trained with "
            f"its own task's vocabulary: {shown(record)}. Choose a task with that vocabulary"
        )
    check(folder, _described(task))


def _needs_t5s(task: str) -> bool:
    """Return whether a task needs T5's public vocabulary, which may be out of reach."""
    is_chosen = (isinstance(v, ChosenVocabulary) for v in _vocabularies(task).values())
    return choice() == T5_MODEL and any(is_chosen)


def _may_be_t5s(record: Mapping[str, Any]) -> bool:
    was_chosen = record.get("chosen") in FEATURES
    return was_chosen or record["targets"].get("file") == T5_MODEL


def used_vocabulary(task: str) -> UsedVocabulary:
    """The vocabularies of a task, which `check_vocabulary` compares with those of a model."""
    chosen = [
        (feature, vocabulary)
        for feature, vocabulary in _vocabularies(task).items()
        if isinstance(vocabulary, ChosenVocabulary)
    ]
    feature, vocabulary = chosen[0] if chosen else (None, None)
    described = _described(task)
    keep = feature is not None and described[feature]["kind"] == "sentencepiece"
    return UsedVocabulary(described, feature, model_bytes(vocabulary) if keep else None)


def has_own_vocabulary(task: str) -> bool:
    """Return whether a task brings its vocabularies, so that --vocabulary decides none of them."""
    return not any(isinstance(v, ChosenVocabulary) for v in _vocabularies(task).values())


def remember_cache(task: str, cache: str) -> None:
    """Write the record that `check_data` compares with into the folder of a task's cache."""
    caches.remember(cache, _described(task))


def _vocabularies(task: str) -> dict[str, seqio.Vocabulary]:
    features = seqio.get_mixture_or_task(task).output_features
    return {name: features[name if name in features else "targets"].vocabulary for name in FEATURES}


def _described(task: str) -> dict[str, dict[str, Any]]:
    return {name: describe(vocabulary) for name, vocabulary in _vocabularies(task).items()}


# Tasks with one target for each input token, which only an encoder-only model can learn.
ALIGNED: set[str] = set()
