"""Checkpoints of a model folder, listed without loading TensorFlow."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import best

OPERATIVE_CONFIG = "operative_config.gin"
_CHECKPOINT = re.compile(r"model\.ckpt-(\d+)(\.index)?$")
_END = bytes.fromhex("57fb808b247547db")  # last bytes of every file in TensorFlow's table format
_SHARD = re.compile(r"\.data-\d{5}-of-(\d{5})$")
# Names of optimizer variables in Mesh: Adafactor, Adam, SGD with momentum.
_OF_OPTIMIZER = re.compile(r"_slot_\w+$|/adam_[mv]$|_momentum_v$")
_SHOWN = 6  # number of variable names in a message


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint `folder/model.ckpt-<step>`."""

    path: str
    step: int

    @property
    def name(self) -> str:
        """Name as in TensorFlow's file `checkpoint`."""
        return os.path.basename(self.path)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ between checkpoints with different values."""
        # The index holds names, shapes and checksums of all values.
        index = paths.of(self.path + ".index").read_bytes()
        return hashlib.sha256(index).hexdigest()[:12]


def listed(variables: Sequence[str]) -> str:
    """Return the first few names of variables, for a message."""
    more = len(variables) - _SHOWN
    return ", ".join(variables[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def is_of_optimizer(variable: str) -> bool:
    """Return whether a variable is optimizer state, and so not part of a model."""
    return _OF_OPTIMIZER.search(variable) is not None


def operative_config(model_dir: paths.Path) -> paths.Path:
    """Return the path of the configuration in a model directory.

    Raises:
      errors.UserError: the configuration is missing.
    """
    path = model_dir / OPERATIVE_CONFIG
    if not path.is_file():
        raise errors.UserError(
            f"{model_dir} is not the folder of a trained model: {OPERATIVE_CONFIG} is missing. "
            "Give the --model_dir of a `mtf_synthesizer train` that began training"
        )
    return path


def checkpoints(model_dir: str | os.PathLike[str]) -> list[Checkpoint]:
    """Return every complete checkpoint of a folder, earliest first."""
    complete = []
    for path in paths.matching(paths.of(model_dir), "model.ckpt-*.index"):
        match = _CHECKPOINT.search(path.name)
        if match and _has_values(path.with_suffix("")) and _is_whole(path):
            complete.append(Checkpoint(str(path.with_suffix("")), int(match[1])))
    return sorted(complete, key=lambda checkpoint: checkpoint.step)


def _has_values(prefix: paths.Path) -> bool:
    """Return whether all files with the checkpoint's values exist."""
    shards = [_SHARD.search(path.name) for path in prefix.parent.glob(f"{prefix.name}.data-*")]
    return any(shard and len(shards) == int(shard[1]) for shard in shards)


def _is_whole(index: paths.Path) -> bool:
    """Return whether TensorFlow wrote an index to its end; it uses no temporary name."""
    with index.open("rb") as file:
        return file.read().endswith(_END)


def chosen_checkpoints(
    model_dir: str | os.PathLike[str], choice: str | int, task: str | None = None
) -> list[Checkpoint]:
    """Return the checkpoints meant by "latest", "all", "best" (of a task) or a step.

    Raises:
      errors.UserError: the folder has no checkpoint, or none of that step.
    """
    complete = checkpoints(model_dir)
    if not complete:
        raise errors.UserError(
            f"no checkpoint (model.ckpt-<step>.index and .data-...) in {model_dir}"
        )
    if choice == "all":
        return complete
    if choice == "latest":
        return complete[-1:]
    step = best.find(model_dir, task) if choice == "best" else choice
    of_step = [checkpoint for checkpoint in complete if str(checkpoint.step) == str(step)]
    if not of_step:
        steps = ", ".join(str(checkpoint.step) for checkpoint in complete)
        raise errors.UserError(
            f"no checkpoint {str(step)!r} in {model_dir}: choose latest, all, best or one of "
            f"{steps}"
        )
    return of_step


def start_checkpoint(path: str | os.PathLike[str] | Checkpoint) -> Checkpoint:
    """Return the checkpoint to start from: a folder's latest, or model.ckpt-<step>.

    Raises:
      errors.UserError: the checkpoint is missing.
    """
    if isinstance(path, Checkpoint):
        return path
    if paths.of(path).is_dir():
        return chosen_checkpoints(path, "latest")[0]
    match = _CHECKPOINT.search(str(path))
    prefix = str(path).removesuffix(".index")
    if not match or not paths.of(prefix + ".index").is_file():
        raise errors.UserError(
            f"no checkpoint at {str(path)!r}: give a folder with checkpoints or a path like "
            "folder/model.ckpt-1000"
        )
    return Checkpoint(prefix, int(match[1]))
