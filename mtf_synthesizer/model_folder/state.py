"""TensorFlow's file `checkpoint`, which says where training goes on. Loads no TensorFlow.

It names the checkpoint that training goes on from, and those that the Saver of this training may
delete where `utils.run.keep_checkpoint_max` limits their number.
"""

import os
import re
from collections.abc import Iterable

from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.checkpoints import Checkpoint, checkpoints, chosen_checkpoints

STATE = "checkpoint"
# Written by TensorFlow as text of a protocol buffer, with a whole path or only the name.
_CURRENT = re.compile(r'^model_checkpoint_path: "(?:.*/)?([^/"]+)"', re.MULTILINE)
_LISTED = re.compile(r'^(?:all_)?model_checkpoint_paths?: "(.*/)?([^/"]+)"', re.MULTILINE)


def named(model_dir: str | os.PathLike[str]) -> str | None:
    """The name of the checkpoint that TensorFlow would go on from; None where no file says it."""
    found = _CURRENT.search(_text(model_dir))
    return found[1] if found else None


def current(model_dir: str | os.PathLike[str]) -> Checkpoint:
    """The checkpoint that training goes on from: the one that the file names, if it is complete.

    A file that does not list the last checkpoint is older than that one: the process was killed
    between writing the two, and the last it is. A file that lists it was set back by somebody.

    Raises:
      errors.UserError: there is none.
    """
    found = chosen_checkpoints(model_dir, "all")
    last = found[-1]
    if last.name not in _listed(model_dir):
        return last
    name = named(model_dir)
    return next((each for each in found if each.name == name), last)


def _listed(model_dir: str | os.PathLike[str]) -> list[str]:
    """The names that stand in the file."""
    return [name for _, name in _LISTED.findall(_text(model_dir))]


def _text(model_dir: str | os.PathLike[str]) -> str:
    path = paths.of(model_dir) / STATE
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def write(model_dir: str | os.PathLike[str], goes_on: str, listed: Iterable[str]) -> None:
    """Replaces the file.

    Args:
      model_dir: the folder; the names are of files in it, so that it can be moved.
      goes_on: the checkpoint to go on from.
      listed: those that a Saver may delete, earliest first; `goes_on` is one of them in any case.
    """
    names = [name for name in listed if name != goes_on] + [goes_on]
    lines = [f'model_checkpoint_path: "{goes_on}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in names]
    saving.write_text(paths.of(model_dir) / STATE, "\n".join(lines) + "\n")


def point_to_complete(model_dir: str | os.PathLike[str]) -> Checkpoint | None:
    """Lets training go on from the `current` checkpoint, which is returned; None without any.

    TensorFlow trusts its file: if files of the checkpoint that it names have been removed because
    they were damaged, it would fail instead of going on from the one before; without the file it
    would begin anew; and in a copied folder it would go on from the original, and delete there what
    is over `keep_checkpoint_max`.
    """
    there = [each.name for each in checkpoints(model_dir)]
    if not there:
        return None
    goes_on, listed = current(model_dir), _listed(model_dir)
    if goes_on.name != named(model_dir) or _has_folders(model_dir):
        write(model_dir, goes_on.name, [name for name in there if name in listed] or there)
    return goes_on


def _has_folders(model_dir: str | os.PathLike[str]) -> bool:
    return any(folder for folder, _ in _LISTED.findall(_text(model_dir)))


def remove_unfinished(model_dir: str | os.PathLike[str]) -> None:
    """Removes what TensorFlow had written of a checkpoint when it was killed or the disk was full.

    Only for the process that trains there: another's would be one that it is about to finish.
    """
    for folder in paths.of(model_dir).glob("model.ckpt-*_temp"):
        paths.remove_folder(folder)
