"""Tasks and mixtures as SeqIO knows them, checked against a configuration."""

import importlib
import os
from collections.abc import Mapping
from typing import Any

import gin
import seqio

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder.vocabulary import FEATURES, check, read, remember, shown
from mtf_synthesizer.upstream import caches, data_folder
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import (
    T5_MODEL,
    ChosenVocabulary,
    choice,
    describe,
    model_bytes,
)

# T5's own tasks and ours that are made of them: slow to import.
T5_TASKS = "mtf_synthesizer.tasks.t5_mixtures"


def known_tasks() -> list[str]:
    """Names of every registered task and mixture."""
    return sorted({*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()})


def configured_task() -> str:
    """The task of a configuration: T5's macro, else what the training data is bound to.

    Raises:
      errors.UserError: it has none.
    """
    try:
        return str(gin.query_parameter("%MIXTURE_NAME"))
    except ValueError as error:
        bound = gin.get_bindings("mesh_train_dataset_fn").get("mixture_or_task_name")
        if bound is None:
            raise errors.UserError(
                "the configuration names no task: bind MIXTURE_NAME = '...'. Of a trained model: "
                "is its operative_config.gin empty or cut off?"
            ) from error
        return str(bound)


def check_task(task: str) -> None:
    """Raises a UserError with a suggestion unless the task is registered."""
    if task not in known_tasks():
        importlib.import_module(T5_TASKS)
    errors.check("task", task, known_tasks())


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
    elif not is_encoder and tasks & ALIGNED:
        what, advice = "one target for each input token", "choose a size ending in _encoder"
    elif is_encoder and any(feature.add_eos for feature in features.values()):
        what = "inputs and targets that end with EOS each"
        advice = "choose a size without _encoder, or a task with one target for each input token"
    else:
        return
    raise errors.UserError(
        f"the task {task} has {what}, which a model of type {model.model_type!r} can't be trained "
        f"on: {advice}"
    )


def check_data(task: str) -> None:
    """Raises a UserError unless what a task is trained from is there, its data or its caches."""
    if trains_from_caches():
        caches.check(task, _described(task))
    else:
        data_folder.check(task, "train")


def trains_from_caches() -> bool:
    return bool(gin.get_bindings("mesh_train_dataset_fn").get("use_cached"))


def check_vocabulary(task: str, model_dir: str | os.PathLike[str]) -> None:
    """Raises a UserError if the task's vocabularies are not those of the model's folder."""
    record = read(model_dir)
    if record is not None and _needs_t5s(task) and not _may_be_t5s(record):
        raise errors.UserError(
            f"{task} has T5's vocabulary unless --vocabulary says otherwise, but the model in "
            f"{model_dir} was made with that of its own task: {shown(record)}. "
            "Choose a task with that vocabulary"
        )
    check(model_dir, _described(task))


def _needs_t5s(task: str) -> bool:
    """Whether a task would have T5's public vocabulary, which may be out of reach."""
    is_chosen = (isinstance(v, ChosenVocabulary) for v in _vocabularies(task).values())
    return choice() == T5_MODEL and any(is_chosen)


def _may_be_t5s(record: Mapping[str, Any]) -> bool:
    was_chosen = record.get("chosen") in FEATURES
    return was_chosen or record["targets"].get("file") == T5_MODEL


def remember_vocabulary(task: str, model_dir: str | os.PathLike[str]) -> None:
    """Writes what `check_vocabulary` compares with into the model's folder."""
    chosen = [
        (feature, vocabulary)
        for feature, vocabulary in _vocabularies(task).items()
        if isinstance(vocabulary, ChosenVocabulary)
    ]
    feature, vocabulary = chosen[0] if chosen else (None, None)
    described = _described(task)
    keep = feature is not None and described[feature]["kind"] == "sentencepiece"
    remember(model_dir, described, feature, model_bytes(vocabulary) if keep else None)


def remember_cache(task: str, cache: str) -> None:
    """Writes what `check_data` compares with into the folder of a task's cache."""
    caches.remember(cache, _described(task))


def _vocabularies(task: str) -> dict[str, seqio.Vocabulary]:
    features = seqio.get_mixture_or_task(task).output_features
    return {name: features[name if name in features else "targets"].vocabulary for name in FEATURES}


def _described(task: str) -> dict[str, dict[str, Any]]:
    return {name: describe(each) for name, each in _vocabularies(task).items()}


# Tasks with one target for each input token, which only an encoder without a decoder can learn.
ALIGNED: set[str] = set()
