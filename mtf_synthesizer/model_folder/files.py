"""The files of a folder's checkpoints, of those too that were never finished."""

import dataclasses
import os
import re
from collections.abc import Sequence

from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.checkpoints import checkpoints

# model.ckpt-5.index, .data-00000-of-00001 and what TensorFlow calls them while it writes; it
# gathers the parts of several devices in the folder model.ckpt-5_temp.
_FILE = re.compile(r"model\.ckpt-(\d+)[._]")


@dataclasses.dataclass(frozen=True)
class Saved:
    """What a folder holds of a checkpoint.

    Attributes:
      step: of the checkpoint.
      files: its files, the index first, and folders.
      complete: whether it can be loaded.
    """

    step: int
    files: tuple[paths.Path, ...]
    complete: bool

    @property
    def name(self) -> str:
        """As TensorFlow's list has it."""
        return f"model.ckpt-{self.step}"

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(paths.size(file) for file in self.files if file.is_file())


def saved(model_dir: str | os.PathLike[str]) -> list[Saved]:
    """Everything that belongs to a checkpoint, earliest first."""
    complete = {each.step for each in checkpoints(model_dir)}
    by_step: dict[int, list[paths.Path]] = {}
    for path in paths.matching(paths.of(model_dir), "model.ckpt-*"):
        match = _FILE.match(path.name)
        if match:
            by_step.setdefault(int(match[1]), []).append(path)
    return [
        Saved(step, tuple(_index_first(files)), step in complete)
        for step, files in sorted(by_step.items())
    ]


def _index_first(files: Sequence[paths.Path]) -> list[paths.Path]:
    # Without its index a checkpoint counts for nothing: removed first, it is never half there.
    return sorted(files, key=lambda file: (file.suffix != ".index", file.name))


def remove(each: Saved) -> None:
    """Removes the files of a checkpoint."""
    for path in each.files:
        if path.is_dir():
            paths.remove_folder(path)
        else:
            path.unlink(missing_ok=True)
