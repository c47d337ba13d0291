"""TensorFlow's file `checkpoint`, which names the checkpoint to resume from; no TensorFlow needed.

The file also lists the checkpoints that the Saver of this training may delete if
`utils.run.keep_checkpoint_max` limits their number.
"""

import os
import re
from collections.abc import Iterable

from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.checkpoints import Checkpoint, checkpoints, chosen_checkpoints

STATE = "checkpoint"
# TensorFlow writes the text of a protocol buffer, with whole paths or only names.
_CURRENT = re.compile(r'^model_checkpoint_path: "(?:.*/)?([^/"]+)"', re.MULTILINE)
_LISTED = re.compile(r'^(?:all_)?model_checkpoint_paths?: "(.*/)?([^/"]+)"', re.MULTILINE)


def named(model_dir: str | os.PathLike[str]) -> str | None:
    """Return the name of the checkpoint that TensorFlow would resume from; None if unnamed."""
    match = _CURRENT.search(_text(model_dir))
    return match[1] if match else None


def current(model_dir: str | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint that training resumes from: the named one, if complete.

    A file that does not list the last checkpoint is older than that checkpoint, because the process
    was killed between the two writes: the last checkpoint counts. A file that lists it and names
    another was changed on purpose.

    Raises:
      errors.UserError: the folder has no complete checkpoint.
    """
    complete = chosen_checkpoints(model_dir, "all")
    last = complete[-1]
    if last.name not in _listed(model_dir):
        return last
    name = named(model_dir)
    return next((checkpoint for checkpoint in complete if checkpoint.name == name), last)


def _listed(model_dir: str | os.PathLike[str]) -> list[str]:
    """Return the names listed in the file."""
    return [name for _, name in _LISTED.findall(_text(model_dir))]


def _text(model_dir: str | os.PathLike[str]) -> str:
    path = paths.of(model_dir) / STATE
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def write(model_dir: str | os.PathLike[str], resume_from: str, listed: Iterable[str]) -> None:
    """Replace the file.

    Args:
      model_dir: the folder; the file names no folders, so that the folder can be moved.
      resume_from: name of the checkpoint to resume from.
      listed: names that a Saver may delete, earliest first; `resume_from` is always added.
    """
    names = [name for name in listed if name != resume_from] + [resume_from]
    lines = [f'model_checkpoint_path: "{resume_from}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    saving.write_text(paths.of(model_dir) / STATE, "\n".join(lines) + "\n")


def point_to_complete(model_dir: str | os.PathLike[str]) -> Checkpoint | None:
    """Make training resume from the `current` checkpoint and return it; None without any.

    TensorFlow trusts its file. If the named checkpoint was removed as damaged, TensorFlow would
    fail instead of resuming from the previous checkpoint. Without the file it would start from
    step 0. In a copied folder it would resume from the original, and delete checkpoints there
    beyond `keep_checkpoint_max`.
    """
    names = [checkpoint.name for checkpoint in checkpoints(model_dir)]
    if not names:
        return None
    resume_from, listed = current(model_dir), _listed(model_dir)
    if resume_from.name != named(model_dir) or _has_folders(model_dir):
        write(
            model_dir,
            resume_from.name,
            [candidate for candidate in names if candidate in listed] or names,
        )
    return resume_from


def _has_folders(model_dir: str | os.PathLike[str]) -> bool:
    return any(folder for folder, _ in _LISTED.findall(_text(model_dir)))


def remove_unfinished(model_dir: str | os.PathLike[str]) -> None:
    """Remove the parts of a checkpoint that a kill or a full disk left unfinished.

    Call this only in the process that trains in the folder: another process may be about to finish
    its checkpoint.
    """
    for folder in paths.of(model_dir).glob("model.ckpt-*_temp"):
        paths.remove_folder(folder)
