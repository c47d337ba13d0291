"""What a model folder remembers of the run that trains it, so that no other goes on there unseen.

`run.json` says what the run was asked for. The same command goes on where it stopped; its steps may
grow, and data and vocabulary may lie elsewhere (`vocabulary_record` compares the vocabulary). Loads
no TensorFlow.
"""

import dataclasses
import json
import os
import pathlib
from typing import Any

from mtf_synthesizer import __version__, names, saving
from mtf_synthesizer.checkpoints import Checkpoint, checkpoints
from mtf_synthesizer.configuration import Request

RECORD = "run.json"
_COMPARED = (
    "task",
    "synthesizer",
    "size",
    "run",
    "experiment",
    "batch_size",
    "gin_files",
    "gin_params",
    "seed",
)
_START = "init_checkpoint"


def resumed(model_dir: str | os.PathLike[str], request: Request, seed: int) -> Request:
    """The request with which a folder's run goes on: from the very checkpoint that it began with.

    Raises:
      names.UserError: the folder holds another run.
    """
    record = _read(model_dir) if checkpoints(model_dir) else None
    if record is not None:
        _check_asked(model_dir, record, _asked(request, seed))
        return _check_start(model_dir, record, request)
    if request.init_checkpoint is not None and checkpoints(model_dir):
        raise names.UserError(
            f"{model_dir} holds checkpoints already, and nothing says that they began with "
            f"--init_checkpoint {request.init_checkpoint}, which would be ignored. Leave it out to "
            "go on, or choose another --model_dir"
        )
    return request


def remember(
    model_dir: str | os.PathLike[str], request: Request, seed: int, start: Checkpoint | None
) -> None:
    """Writes the record of a run, unless the folder has one that goes on."""
    path = pathlib.Path(model_dir) / RECORD
    if path.exists() and checkpoints(model_dir):
        return
    record: dict[str, Any] = {"package_version": __version__, **_asked(request, seed)}
    if start is not None:
        record[_START] = dataclasses.asdict(start) | {"fingerprint": start.fingerprint}
    saving.write_json(path, record)


def _asked(request: Request, seed: int) -> dict[str, Any]:
    """What must stay the same, as JSON has it."""
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    fields |= {"seed": seed, "run": request.run or (None if request.experiment else "pretrain")}
    return {
        name: [str(each) for each in value] if isinstance(value, list | tuple) else value
        for name, value in fields.items()
        if name in _COMPARED
    }


def _read(model_dir: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The record of a folder; None where there is none, as with a model of T5's."""
    path = pathlib.Path(model_dir) / RECORD
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        if not isinstance(record, dict) or "seed" not in record:
            raise ValueError("no seed in it")
    except (OSError, ValueError) as error:
        raise names.UserError(
            f"{path} is no record of a run ({error}): remove it if you know that the same run goes "
            "on"
        ) from error
    return record


def _check_asked(
    model_dir: str | os.PathLike[str], record: dict[str, Any], asked: dict[str, Any]
) -> None:
    other = [name for name in _COMPARED if record.get(name) != asked[name]]
    if other:
        raise _another_run(
            model_dir,
            [
                f"{_shown(name, record.get(name))}, not {_shown(name, asked[name])}"
                for name in other
            ],
        )


def _check_start(
    model_dir: str | os.PathLike[str], record: dict[str, Any], request: Request
) -> Request:
    """The request, with the checkpoint that the run began with instead of its folder's latest."""
    begun, given = record.get(_START), request.init_checkpoint
    if begun is None and given is None:
        return request
    if begun is not None and given is not None:
        name = pathlib.Path(begun["path"]).name
        path = pathlib.Path(given) / name if pathlib.Path(given).is_dir() else pathlib.Path(given)
        found = Checkpoint(str(path).removesuffix(".index"), begun["step"])
        if not pathlib.Path(found.path + ".index").is_file():
            raise names.UserError(
                f"{model_dir} began with {begun['path']}, of which {given} holds nothing any more: "
                "put it back to go on, or begin anew in another --model_dir"
            )
        if found.fingerprint == begun["fingerprint"]:
            return dataclasses.replace(request, init_checkpoint=found.path)
    shown = _shown(_START, begun and begun["path"])
    raise _another_run(model_dir, [f"begun with {shown}, not with {_shown(_START, given)}"])


def _another_run(model_dir: str | os.PathLike[str], differences: list[str]) -> names.UserError:
    return names.UserError(
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
