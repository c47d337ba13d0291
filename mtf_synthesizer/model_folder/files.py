"""Files of a folder's checkpoints, including unfinished checkpoints."""

import dataclasses
import re
from collections.abc import Sequence

from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.folder import ModelFolder

# model.ckpt-5.index, .data-00000-of-00001 and their temporary names. TensorFlow collects the parts
# of several devices in the folder model.ckpt-5_temp.
_FILE = re.compile(r"model\.ckpt-(\d+)[._]")


@dataclasses.dataclass(frozen=True)
class Saved:
    """Files of one checkpoint in a folder.

    Attributes:
      step: step of the checkpoint.
      files: files and folders of the checkpoint, the index first.
      complete: whether TensorFlow can load the checkpoint.
    """

    step: int
    files: tuple[paths.Path, ...]
    complete: bool

    @property
    def name(self) -> str:
        """Name as in TensorFlow's list."""
        return f"model.ckpt-{self.step}"

    @property
    def bytes(self) -> int:
        """Size of all files in bytes."""
        return sum(paths.size(file) for file in self.files if file.is_file())


def saved(folder: ModelFolder) -> list[Saved]:
    """Return the files of every checkpoint, earliest first, unfinished checkpoints included."""
    complete = {checkpoint.step for checkpoint in folder.checkpoints}
    by_step: dict[int, list[paths.Path]] = {}
    for path in paths.matches(folder.files, "model.ckpt-*"):
        match = _FILE.match(path.name)
        if match:
            by_step.setdefault(int(match[1]), []).append(path)
    return [
        Saved(step, tuple(_index_first(files)), step in complete)
        for step, files in sorted(by_step.items())
    ]


def _index_first(files: Sequence[paths.Path]) -> list[paths.Path]:
    # A checkpoint without index does not count, so the index is removed first.
    return sorted(files, key=lambda file: (file.suffix != ".index", file.name))


def remove(checkpoint: Saved) -> None:
    """Remove the files of a checkpoint."""
    for path in checkpoint.files:
        if path.is_dir():
            paths.remove_folder(path)
        else:
            path.unlink(missing_ok=True)
