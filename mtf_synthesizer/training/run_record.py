"""What a model folder remembers of the run that trains it, so that no other goes on there unseen.

`run.json` says what the run was asked for. The same command goes on where it stopped; its steps may
grow, and data and vocabulary may lie elsewhere (`vocabulary_record` compares the vocabulary). Loads
no TensorFlow.
"""

import dataclasses
import errno
import os
from typing import Any

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import meshes
from mtf_synthesizer.config.request import Request
from mtf_synthesizer.files import paths, records, saving
from mtf_synthesizer.model_folder import averaged
from mtf_synthesizer.model_folder.checkpoints import Checkpoint, checkpoints
from mtf_synthesizer.runtime import precision

RECORD = "run.json"
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
_PRECISION = "matmul_precision"
_FILES = "gin_files"
# Of each of these files the SHA-256 of its text; null for one of this package or of T5.
_DIGESTS = "gin_file_sha256"
# Written down for the command that `report` prints; a run may be resumed with others.
_NOTED = ("modules", "vocabulary", "tfds_data_dir", "additional_task_cache_dirs", "partial_init")
_START = "init_checkpoint"
_START_TYPES = {"path": str, "step": int, "fingerprint": str}


def resumed(model_dir: str | os.PathLike[str], request: Request, seed: int) -> Request:
    """The request with which a folder's run goes on: from the very checkpoint that it began with.

    Where that is gone, it is the folder's own latest in its stead, with the step of the other.

    Raises:
      errors.UserError: the folder holds another run, or an average of checkpoints.
    """
    averaged.check_trainable(model_dir)
    record = _read(model_dir) if checkpoints(model_dir) else None
    if record is not None:
        _check_asked(model_dir, record, _asked(request, seed))
        return _check_start(model_dir, record, request)
    if request.init_checkpoint is not None and checkpoints(model_dir):
        raise errors.UserError(
            f"{model_dir} holds checkpoints already, and nothing says that they began with "
            f"--init_checkpoint {request.init_checkpoint}, which would be ignored. Leave it out to "
            "go on, or choose another --model_dir"
        )
    return request


def kept_precision(model_dir: str | os.PathLike[str]) -> str | None:
    """The precision of products that a folder's run keeps; None where no run is resumed.

    Runs of earlier releases, and T5's own, had float32 products.

    Raises:
      errors.UserError: the folder's record is damaged.
    """
    if not checkpoints(model_dir):
        return None
    return (_read(model_dir) or {}).get(_PRECISION, precision.FLOAT32)


def kept_precision_below(folder: str | os.PathLike[str]) -> str | None:
    """`kept_precision` of the first folder in a folder that has a run; None where none has.

    Raises:
      errors.UserError: a record is damaged.
    """
    if not paths.of(folder).is_dir():
        return None
    names = sorted(str(path) for path in paths.of(folder).glob(f"*/{RECORD}"))
    kept = (kept_precision(paths.of(name).parent) for name in names)
    return next((each for each in kept if each is not None), None)


def remember(
    model_dir: str | os.PathLike[str], request: Request, seed: int, start: Checkpoint | None
) -> None:
    """Writes the record of a run, unless the folder has one that goes on."""
    path = paths.of(model_dir) / RECORD
    if path.exists() and checkpoints(model_dir):
        return
    record: dict[str, Any] = {"package_version": __version__, **_asked(request, seed)}
    record |= {name: value for name in _NOTED if (value := _as_json(getattr(request, name)))}
    record[_PRECISION] = precision.current()
    if start is not None:
        record[_START] = dataclasses.asdict(start) | {"fingerprint": start.fingerprint}
    saving.write_json(path, record)


def _asked(request: Request, seed: int) -> dict[str, Any]:
    """What must stay the same, as JSON has it."""
    request = _without_mesh(request)
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    fields |= {"seed": seed, "run": request.run or (None if request.experiment else "pretrain")}
    return {
        name: _as_json(value) for name, value in fields.items() if name in (*_COMPARED, _FILES)
    } | {_DIGESTS: [gin_files.own_digest(str(file)) for file in request.gin_files]}


def _as_json(value: Any) -> Any:
    return [str(each) for each in value] if isinstance(value, list | tuple) else value


def _without_mesh(request: Request) -> Request:
    """Checkpoints fit any mesh, so a run may go on with other devices."""
    files, params = (
        [each for each in given if not meshes.is_choice(str(each))]
        for given in (request.gin_files, request.gin_params)
    )
    return dataclasses.replace(request, gin_files=files, gin_params=params)


def _read(model_dir: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The record of a folder; None where there is none, as with a model of T5's."""
    path = paths.of(model_dir) / RECORD
    if not path.exists():
        return None
    try:
        record = records.parse(path.read_text("utf-8"))
        _check_fields(record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.UserError(
            f"{path} is no record of a run ({error}): remove it if you know that the same run goes "
            "on"
        ) from error
    return record


def _check_fields(record: Any) -> None:
    """Raises a ValueError for what no run has written."""
    if not isinstance(record, dict) or "seed" not in record:
        raise ValueError("no seed in it")
    files, digests = record.get(_FILES, []), record.get(_DIGESTS)
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise ValueError(f"no list of {_FILES} in it")
    if digests is not None and not (isinstance(digests, list) and len(digests) == len(files)):
        raise ValueError(f"no list of {_DIGESTS} in it")
    if record.get(_PRECISION, precision.FLOAT32) not in (precision.FLOAT32, precision.BFLOAT16):
        raise ValueError(f"no {_PRECISION} that there is")
    start = record.get(_START)
    if start is not None and {n: type(start[n]) for n in _START_TYPES} != _START_TYPES:
        raise ValueError(f"no {_START} in it")


def _check_asked(
    model_dir: str | os.PathLike[str], record: dict[str, Any], asked: dict[str, Any]
) -> None:
    other = [
        f"{_shown(name, record.get(name))}, not {_shown(name, asked[name])}"
        for name in _COMPARED
        if record.get(name) != asked[name]
    ]
    other += _other_files(record, asked)
    if other:
        raise _another_run(model_dir, other)


def _other_files(record: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """What is different about the gin files; the same text may have another name."""
    before, now = record.get(_FILES, []), asked[_FILES]
    if record.get(_DIGESTS) is not None:
        was, be = _identities(record), _identities(asked)
    else:  # of an earlier release, which compared names
        was, be = before, now
    if was == be:
        return []
    if before == now:
        changed = [file for file, old, new in zip(now, was, be, strict=True) if old != new]
        return [f"{_shown(_FILES, changed)} had another content"]
    return [f"{_shown(_FILES, before)}, not {_shown(_FILES, now)}"]


def _identities(record: dict[str, Any]) -> list[str]:
    """Of each gin file its digest, else its name."""
    both = zip(record.get(_FILES, []), record[_DIGESTS], strict=True)
    return [digest or name for name, digest in both]


def _check_start(
    model_dir: str | os.PathLike[str], record: dict[str, Any], request: Request
) -> Request:
    """The request, with the checkpoint that the run began with instead of its folder's latest."""
    begun, given = record.get(_START), request.init_checkpoint
    if begun is None and given is None:
        return request
    if begun is not None and given is not None:
        found = _same_checkpoint(begun, str(given))
        if found is None and _is_place_of(begun, str(given)):  # gone, and no longer needed
            found = Checkpoint(checkpoints(model_dir)[-1].path, begun["step"])
        if found is not None:
            return dataclasses.replace(request, init_checkpoint=found)
    shown = _shown(_START, begun and begun["path"])
    raise _another_run(model_dir, [f"begun with {shown}, not with {_shown(_START, given)}"])


def _same_checkpoint(begun: dict[str, Any], given: str) -> Checkpoint | None:
    """The checkpoint of a record where it is now, or in the folder where it is now."""
    name = paths.of(begun["path"]).name
    path = str(paths.of(given) / name if paths.of(given).is_dir() else given)
    found = Checkpoint(path.removesuffix(".index"), begun["step"])
    if not _is_file(f"{found.path}.index"):
        return None
    return found if found.fingerprint == begun["fingerprint"] else None


def _is_file(path: str) -> bool:
    try:
        return paths.of(path).is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def _is_place_of(begun: dict[str, Any], given: str) -> bool:
    """Whether a start is spelt as when it was there, and there is none any more."""
    path = paths.of(begun["path"])
    if _is_file(f"{path}.index"):
        return False
    places = {str(each.absolute()) for each in (path, path.parent)}
    return str(paths.of(given.removesuffix(".index")).absolute()) in places


def _another_run(model_dir: str | os.PathLike[str], differences: list[str]) -> errors.UserError:
    return errors.UserError(
        f"{model_dir} holds another run: {'; '.join(differences)}. The same command goes on there, "
        "and only --steps may grow; for another run choose another --model_dir (which starts with "
        f"this model if given --init_checkpoint {model_dir})"
    )


def _shown(name: str, value: Any) -> str:
    """A value as it was given on the command line."""
    if value is None or value == []:
        return f"no --{name.removesuffix('s')}" if isinstance(value, list) else f"no --{name}"
    if isinstance(value, list):
        return " ".join(f"--{name.removesuffix('s')} {each!r}" for each in value)
    return f"--{name} {value}"
