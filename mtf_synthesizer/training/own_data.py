"""Check and measurement of a user's own files before a run; TensorFlow is not loaded."""

import dataclasses
import os
import sys

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import OWN_RUN, Configuration, Request, check_one_task
from mtf_synthesizer.config.statements import Reference
from mtf_synthesizer.config.values import BoundValues, last_part
from mtf_synthesizer.data import own_files, own_lengths
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.model_folder.own_data import LANGUAGE_MODEL, SPANS, TRAIN, OwnData
from mtf_synthesizer.model_folder.vocabulary import DEFAULT_VARIABLE, T5_VOCABULARY


def measured(request: Request, recorded: OwnData | None = None, resumes: bool = False) -> Request:
    """Return the request with its own data complete: objective, lengths and digest.

    A resumed run keeps the lengths of its record. Without --data and another task, the data is
    that of the resumed run, or of the model that a new run starts from.

    Args:
      request: the request of the user.
      recorded: own data of the resumed run; None if it has another task.
      resumes: whether the folder holds a run.

    Raises:
      errors.UserError: --data has no split train, or a file can't be read; the message has the
        lines and reasons.
    """
    data = request.own_data or _inherited(request, recorded, resumes)
    if data is None:
        return request
    request = dataclasses.replace(request, own_data=data)
    check_one_task(request)
    data = dataclasses.replace(data, objective=_objective(data, request))
    data.check()
    if TRAIN not in data.files:
        raise errors.UserError(
            f"--data {' '.join(f'{split}=...' for split in data.files)}: the split train is "
            "missing. Add --data train=FILE"
        )
    for split in data.files:
        own_files.check(data, split)
    data = dataclasses.replace(data, train_sha256=own_files.digest(data.files[TRAIN]))
    if request.schedule == OWN_RUN:
        data = dataclasses.replace(data, lengths=_lengths(data, request, recorded))
    return dataclasses.replace(request, own_data=data)


def check_files_of_t5(configuration: Configuration) -> None:
    """Check the files of T5's `tsv_dataset_fn`, if a run reads its examples with it.

    Raises:
      errors.UserError: a file is missing, or has lines without two columns.
    """
    bound = BoundValues(configuration.files, configuration.params)
    reader = bound.value("run", "train_dataset_fn")
    if not isinstance(reader, Reference) or last_part(reader.selector) != "tsv_dataset_fn":
        return
    named = bound.value("tsv_dataset_fn", "filename")
    for name in [named] if isinstance(named, str) else named or ():
        own_files.check_pairs_of_t5(str(name))


def _inherited(request: Request, recorded: OwnData | None, resumes: bool) -> OwnData | None:
    if request.task or request.experiment or request.gin_files:
        return None
    if resumes or request.init_checkpoint is None:
        return recorded
    start = start_checkpoint(request.init_checkpoint)
    return ModelFolder(paths.of(start.path).parent).own_data


def _objective(data: OwnData, request: Request) -> str:
    if data.objective is None and data.chosen_objective == SPANS and request.size:
        return LANGUAGE_MODEL if request.size.endswith("_lm") else SPANS
    return data.chosen_objective


def _lengths(data: OwnData, request: Request, recorded: OwnData | None) -> dict[str, int]:
    if recorded is not None and recorded.lengths:
        return dict(recorded.lengths)
    token_lengths = own_lengths.measure(data, _vocabulary(request))
    print(f"--data: {token_lengths}", file=sys.stderr, flush=True)
    return dict(token_lengths.lengths)


def _vocabulary(request: Request) -> str:
    """Return the vocabulary that the run will have."""
    vocabulary = request.vocabulary
    if vocabulary is None and request.init_checkpoint is not None:
        start = start_checkpoint(request.init_checkpoint)
        vocabulary = ModelFolder(paths.of(start.path).parent).vocabulary
    return vocabulary or os.environ.get(DEFAULT_VARIABLE) or T5_VOCABULARY
