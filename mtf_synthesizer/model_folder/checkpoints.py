"""Checkpoints of a model folder, listed without loading TensorFlow."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

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


def complete(files: Sequence[paths.Path]) -> list[Checkpoint]:
    """Every complete checkpoint among the files of a folder, earliest first."""
    names = [path.name for path in files]
    indices = ((path, _CHECKPOINT.match(path.name)) for path in files if path.suffix == ".index")
    checkpoints = [
        Checkpoint(str(path.with_suffix("")), int(match[1]))
        for path, match in indices
        if match and _has_values(path.stem, names) and _is_whole(path)
    ]
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)


def _has_values(name: str, names: Sequence[str]) -> bool:
    """True if every file with values of a checkpoint exists."""
    shards = [_SHARD.search(other) for other in names if other.startswith(f"{name}.data-")]
    return any(shard and len(shards) == int(shard[1]) for shard in shards)


def _is_whole(index: paths.Path) -> bool:
    """Return whether TensorFlow wrote an index to its end; it uses no temporary name."""
    with index.open("rb") as file:
        return file.read().endswith(_END)


def at(path: str) -> Checkpoint:
    """The checkpoint of a path folder/model.ckpt-<step>, with or without .index.

    Raises:
      errors.UserError: the path is not that of a checkpoint.
    """
    match = _CHECKPOINT.search(path)
    prefix = path.removesuffix(".index")
    if not match or not paths.of(prefix + ".index").is_file():
        raise errors.UserError(
            f"no checkpoint at {path!r}: give a folder with checkpoints or a path like "
            "folder/model.ckpt-1000"
        )
    return Checkpoint(prefix, int(match[1]))
