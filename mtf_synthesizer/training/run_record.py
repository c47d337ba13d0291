"""The record of a model folder's run, which keeps other runs from training in the folder.

`run.json` holds the settings of the run. A command with equal settings resumes the run. Its steps
may grow, and data and vocabulary may have moved; `model_folder.vocabulary` compares vocabularies.
Loads no TensorFlow.
"""

import dataclasses
import errno
import os
from typing import Any

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.config import digests, training_flags
from mtf_synthesizer.config.lint import meshes
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.model_folder.run_file import (
    DATA,
    DIGESTS,
    FILES,
    INCLUDED,
    MODULES,
    PRECISION,
    RECORD,
    START,
)
from mtf_synthesizer.runtime import precision

_COMPARED = (
    "task",
    "synthesizer",
    "size",
    "run",
    "experiment",
    "batch_size",
    "gin_params",
    "seed",
)
_CACHES = "additional_task_cache_dirs"
# Recorded for the command that `report` prints; these may differ when a run is resumed.
_NOTED = (MODULES, "vocabulary", "tfds_data_dir", _CACHES, "partial_init")


def resumed(folder: ModelFolder, request: Request) -> Request:
    """Return the request that resumes a folder's run, with the checkpoint that the run began with.

    If that checkpoint no longer exists, the folder's latest checkpoint replaces it, with the step
    of the original.

    Args:
      folder: a folder with checkpoints.
      request: the request of the user.

    Raises:
      errors.UserError: the folder holds another run.
    """
    if folder.request is not None:
        check_asked(folder, request)
        _check_caches(folder, folder.request, request)
        return _check_start(folder, folder.request, request)
    if request.init_checkpoint is not None:
        raise errors.UserError(
            f"--init_checkpoint {request.init_checkpoint}: {folder} already holds checkpoints, "
            "and its record names no --init_checkpoint. Leave it out to resume, or choose another "
            "--model_dir"
        )
    return request


def kept_precision_below(folder: str | os.PathLike[str]) -> str | None:
    """Return the precision of the first sub-folder with a run; None without one.

    Raises:
      errors.UserError: a record is damaged.
    """
    if not paths.of(folder).is_dir():
        return None
    names = sorted(str(path) for path in paths.of(folder).glob(f"*/{RECORD}"))
    kept = (ModelFolder(paths.of(name).parent).precision for name in names)
    return next((choice for choice in kept if choice is not None), None)


def remember(folder: ModelFolder, request: Request, start: Checkpoint | None) -> None:
    """Write the record of a run, unless the run is resumed."""
    path = folder.path / RECORD
    if path.exists() and folder.checkpoints:
        return
    record: dict[str, Any] = {"package_version": __version__, **_asked(request)}
    record |= {name: value for name in _NOTED if (value := _as_json(getattr(request, name)))}
    record[PRECISION] = precision.current()
    if start is not None:
        record[START] = dataclasses.asdict(start) | {"fingerprint": start.fingerprint}
    saving.write_json(path, record)


def _asked(request: Request) -> dict[str, Any]:
    """Return the settings that must stay equal, as JSON values."""
    request = _without_mesh(request)
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    fields["run"] = request.schedule
    asked = {name: _as_json(value) for name, value in fields.items() if name in (*_COMPARED, FILES)}
    asked[DIGESTS] = [digests.of_file(str(file)) for file in request.gin_files]
    if included := digests.of_included(list(map(str, request.gin_params))):
        asked[INCLUDED] = included
    if request.own_data is not None:
        asked[DATA] = _data_of_training(request.own_data)
    return asked


def _data_of_training(data: OwnData) -> dict[str, Any]:
    """Return the part of own data that training depends on, as JSON values."""
    return {
        "columns": dict(data.columns or {}),
        "prefix": data.prefix or "",
        "objective": data.chosen_objective,
        "train_sha256": data.train_sha256,
    }


def _as_json(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list | tuple) else value


def _without_mesh(request: Request) -> Request:
    """Return the request without its mesh: checkpoints fit any mesh, so the mesh may change."""
    files, params = (
        [choice for choice in choices if not meshes.is_choice(str(choice))]
        for choices in (request.gin_files, request.gin_params)
    )
    return dataclasses.replace(request, gin_files=files, gin_params=params)


def check_asked(folder: ModelFolder, request: Request) -> None:
    """Raise a UserError if the settings of a folder's run differ; steps and seen data may."""
    if folder.request is None:
        return
    record, asked = _without_saving(folder.request), _without_saving(_asked(request))
    other = [
        f"{_shown(name, record.get(name))}, not {_shown(name, asked[name])}"
        for name in _COMPARED
        if record.get(name) != asked[name]
    ]
    other += _other_files(record, asked)
    other += _other_included(record.get(INCLUDED, {}), asked.get(INCLUDED, {}))
    other += _other_data(record.get(DATA), asked.get(DATA))
    if other:
        raise _another_run(folder, other)


def _without_saving(asked: dict[str, Any]) -> dict[str, Any]:
    """The settings without bindings that only decide which checkpoints are written and kept."""
    params = asked.get("gin_params")
    if not isinstance(params, list):
        return asked
    kept = [param for param in params if not training_flags.is_free(str(param))]
    return {**asked, "gin_params": kept}


def _check_caches(folder: ModelFolder, record: dict[str, Any], request: Request) -> None:
    """Raise a UserError if only one of two runs reads caches, whose examples have another order."""
    if MODULES not in record:  # of an earlier release, which did not note caches
        return
    before, now = (
        f"--{_CACHES} {','.join(map(str, caches))}" if caches else f"no --{_CACHES}"
        for caches in (record.get(_CACHES), request.additional_task_cache_dirs)
    )
    if before.startswith("no ") != now.startswith("no "):
        raise _another_run(folder, [f"{before}, not {now}"])


def _other_files(record: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return the differences of the gin files; a file with equal content may be renamed."""
    before, now = record.get(FILES, []), asked[FILES]
    if record.get(DIGESTS) is not None:
        was, be = _identities(record), _identities(asked)
    else:  # earlier releases compared names
        was, be = before, now
    if was == be:
        return []
    if before == now:
        changed = [file for file, old, new in zip(now, was, be, strict=True) if old != new]
        return [f"the content of {_shown(FILES, changed)} has changed"]
    return [f"{_shown(FILES, before)}, not {_shown(FILES, now)}"]


def _other_included(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the files that bindings include and whose content has changed.

    Records of earlier releases have no content to compare.
    """
    return [
        f"the content of {name!r}, which --gin_param includes, has changed"
        for name, digest in now.items()
        if before.get(name, digest) != digest
    ]


def _other_data(before: dict[str, Any] | None, now: dict[str, Any] | None) -> list[str]:
    """Differences of own data; a file may have moved."""
    if before is None or now is None:
        texts = ["no --data" if data is None else "--data" for data in (before, now)]
        return [] if before == now else [f"{texts[0]}, not {texts[1]}"]
    differences = [
        f"--{name} {before.get(name) or 'not given'}, not {now[name] or 'not given'}"
        for name in ("columns", "prefix", "objective")
        if before.get(name) != now[name]
    ]
    if before.get("train_sha256") != now["train_sha256"]:
        differences.append("the file of --data train had another content")
    return differences


def _identities(record: dict[str, Any]) -> list[str]:
    """Return the digest of each gin file, or its name without a digest."""
    both = zip(record.get(FILES, []), record[DIGESTS], strict=True)
    return [digest or name for name, digest in both]


def _check_start(folder: ModelFolder, record: dict[str, Any], request: Request) -> Request:
    """Return the request with the checkpoint that the run began with."""
    begun, start = record.get(START), request.init_checkpoint
    if begun is None and start is None:
        return request
    if begun is not None and start is not None:
        checkpoint = _same_checkpoint(begun, str(start))
        if checkpoint is None and _is_place_of(begun, str(start)):  # deleted, and not needed
            checkpoint = Checkpoint(folder.latest.path, begun["step"])
        if checkpoint is not None:
            return dataclasses.replace(request, init_checkpoint=checkpoint)
    shown = _shown(START, begun and begun["path"])
    raise _another_run(folder, [f"begun with {shown}, not with {_shown(START, start)}"])


def _same_checkpoint(begun: dict[str, Any], start: str) -> Checkpoint | None:
    """Return a recorded checkpoint at a given path, or in a given folder; None if it differs."""
    name = paths.of(begun["path"]).name
    path = str(paths.of(start) / name if paths.of(start).is_dir() else start)
    checkpoint = Checkpoint(path.removesuffix(".index"), begun["step"])
    if not _is_file(f"{checkpoint.path}.index"):
        return None
    return checkpoint if checkpoint.fingerprint == begun["fingerprint"] else None


def _is_file(path: str) -> bool:
    try:
        return paths.of(path).is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def _is_place_of(begun: dict[str, Any], start: str) -> bool:
    """Return whether a start has the recorded path and its checkpoint no longer exists."""
    path = paths.of(begun["path"])
    if _is_file(f"{path}.index"):
        return False
    places = {str(place.absolute()) for place in (path, path.parent)}
    return str(paths.of(start.removesuffix(".index")).absolute()) in places


def _another_run(folder: ModelFolder, differences: list[str]) -> errors.UserError:
    return errors.UserError(
        f"--model_dir {folder}: the folder holds another run: {'; '.join(differences)}. Resume it "
        "with its own command, in which only --steps may grow, or choose another --model_dir (with "
        f"--init_checkpoint {folder} to start from this model)"
    )


def _shown(name: str, value: Any) -> str:
    """Return a value as a flag of the command line."""
    if value is None or value == []:
        return f"no --{name.removesuffix('s')}" if isinstance(value, list) else f"no --{name}"
    if isinstance(value, list):
        return " ".join(f"--{name.removesuffix('s')} {item!r}" for item in value)
    return f"--{name} {value}"
