"""TensorFlow's file `checkpoint`, which names the checkpoint to resume from; no TensorFlow needed.

The file also lists the checkpoints that the Saver of this training may delete if
`utils.run.keep_checkpoint_max` limits their number.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.checkpoints import Checkpoint

STATE = "checkpoint"
# TensorFlow writes the text of a protocol buffer, with whole paths or only names.
_CURRENT = re.compile(r'^model_checkpoint_path: "(?:.*/)?([^/"]+)"', re.MULTILINE)
_LISTED = re.compile(r'^(?:all_)?model_checkpoint_paths?: "(.*/)?([^/"]+)"', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class State:
    """The content of the file.

    Attributes:
      text: as it is written; empty without a file.
    """

    text: str

    @property
    def named(self) -> str | None:
        """The checkpoint that TensorFlow would resume from; None where no file names it."""
        match = _CURRENT.search(self.text)
        return match[1] if match else None

    @property
    def listed(self) -> list[str]:
        """The checkpoints that the file names."""
        return [name for _, name in _LISTED.findall(self.text)]

    @property
    def has_folders(self) -> bool:
        """True if the file names checkpoints by whole paths."""
        return any(folder for folder, _ in _LISTED.findall(self.text))

    def current(self, existing: Sequence[Checkpoint]) -> Checkpoint:
        """Return the checkpoint that training resumes from: the named one, if complete.

        A file that does not list the last checkpoint is older than that checkpoint, because the
        process was killed between the two writes: the last checkpoint counts. A file that lists it
        and names another was changed on purpose.

        Args:
          existing: the complete checkpoints, earliest first; at least one.
        """
        last = existing[-1]
        if last.name not in self.listed:
            return last
        return next((candidate for candidate in existing if candidate.name == self.named), last)


def read(path: paths.Path) -> State:
    """Return the state that a file holds; an empty one if the file is missing."""
    return State(path.read_bytes().decode("utf-8", "replace") if path.is_file() else "")


def write(folder: paths.Path, resume_from: str, listed: Iterable[str]) -> None:
    """Replace the file.

    Args:
      folder: the folder; the file names no folders, so that the folder can be moved.
      resume_from: name of the checkpoint to resume from.
      listed: names that a Saver may delete, earliest first; `resume_from` is always added.
    """
    names = [name for name in listed if name != resume_from] + [resume_from]
    lines = [f'model_checkpoint_path: "{resume_from}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    saving.write_text(folder / STATE, "\n".join(lines) + "\n")
