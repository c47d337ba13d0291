"""The checkpoints of a model folder, found without loading TensorFlow."""

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
_END = bytes.fromhex("57fb808b247547db")  # of every file in TensorFlow's format of tables
_SHARD = re.compile(r"\.data-\d{5}-of-(\d{5})$")
# What Mesh's optimizers call their variables: Adafactor, Adam, SGD with momentum.
_OF_OPTIMIZER = re.compile(r"_slot_\w+$|/adam_[mv]$|_momentum_v$")
_SHOWN = 6  # names of variables in a message


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint `folder/model.ckpt-<step>`."""

    path: str
    step: int

    @property
    def name(self) -> str:
        """As TensorFlow's file `checkpoint` has it."""
        return os.path.basename(self.path)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ for checkpoints with different values."""
        # The index holds names, shapes and check sums of all values.
        index = paths.of(self.path + ".index").read_bytes()
        return hashlib.sha256(index).hexdigest()[:12]


def listed(variables: Sequence[str]) -> str:
    """Names of variables for a message: the first few."""
    more = len(variables) - _SHOWN
    return ", ".join(variables[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def is_of_optimizer(variable: str) -> bool:
    """Whether a variable is what an optimizer keeps of another one, and so no part of a model."""
    return _OF_OPTIMIZER.search(variable) is not None


def operative_config(model_dir: paths.Path) -> paths.Path:
    """The configuration file in a model directory.

    Raises:
      errors.UserError: if there is none.
    """
    path = model_dir / OPERATIVE_CONFIG
    if not path.is_file():
        raise errors.UserError(
            f"{model_dir} is not the folder of a trained model: it has no {OPERATIVE_CONFIG}. "
            "Give the --model_dir of a `mtf_synthesizer train` that has begun training"
        )
    return path


def checkpoints(model_dir: str | os.PathLike[str]) -> list[Checkpoint]:
    """Every complete checkpoint of a folder, earliest first."""
    found = []
    for path in paths.matching(paths.of(model_dir), "model.ckpt-*.index"):
        match = _CHECKPOINT.search(path.name)
        if match and _has_values(path.with_suffix("")) and _is_whole(path):
            found.append(Checkpoint(str(path.with_suffix("")), int(match[1])))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _has_values(prefix: paths.Path) -> bool:
    """Whether the files with the values are there, all of them."""
    shards = [_SHARD.search(path.name) for path in prefix.parent.glob(f"{prefix.name}.data-*")]
    return any(shard and len(shards) == int(shard[1]) for shard in shards)


def _is_whole(index: paths.Path) -> bool:
    """Whether TensorFlow has written an index to its end; it has no temporary name for it."""
    with index.open("rb") as file:
        return file.read().endswith(_END)


def chosen_checkpoints(
    model_dir: str | os.PathLike[str], choice: str | int, task: str | None = None
) -> list[Checkpoint]:
    """The checkpoints meant by "latest", "all", "best" (of a task) or a step.

    Raises:
      errors.UserError: there is none, or none of that step.
    """
    found = checkpoints(model_dir)
    if not found:
        raise errors.UserError(
            f"no checkpoint (model.ckpt-<step>.index and .data-...) in {model_dir}"
        )
    if choice == "all":
        return found
    if choice == "latest":
        return found[-1:]
    wanted = best.find(model_dir, task) if choice == "best" else choice
    of_step = [checkpoint for checkpoint in found if str(checkpoint.step) == str(wanted)]
    if not of_step:
        steps = ", ".join(str(checkpoint.step) for checkpoint in found)
        raise errors.UserError(
            f"no checkpoint {str(wanted)!r} in {model_dir}: choose latest, all, best or one of "
            f"{steps}"
        )
    return of_step


def start_checkpoint(path: str | os.PathLike[str] | Checkpoint) -> Checkpoint:
    """The checkpoint to start from: a folder means its latest, else model.ckpt-<step>.

    Raises:
      errors.UserError: if there is none.
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
