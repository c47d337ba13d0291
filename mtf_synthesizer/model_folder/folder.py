"""A model's folder as one object."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files import locks, paths
from mtf_synthesizer.model_folder import (
    best,
    checkpoints,
    kept_best,
    own_data,
    run_file,
    state,
    vocabulary,
)
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.state import State
from mtf_synthesizer.runtime import precision

LOCK = "run.lock"
AVERAGE = "average.json"  # the record of a mean of checkpoints


@dataclasses.dataclass(frozen=True)
class ModelFolder:
    """One snapshot of a model's folder.

    Everything is read when it is first asked for, and once: `reread` sees later changes.

    Attributes:
      path: path of the folder, which need not exist.
    """

    path: paths.Path

    @classmethod
    def at(cls, model_dir: str | os.PathLike[str] | ModelFolder) -> ModelFolder:
        """The folder at a path; a `ModelFolder` is returned as it is.

        Raises:
          errors.UserError: the path is empty.
        """
        if isinstance(model_dir, ModelFolder):
            return model_dir
        if not os.fspath(model_dir):  # which would mean the working directory
            raise errors.UserError("the path of a model's folder is empty. Give its name")
        return cls(paths.of(model_dir))

    def reread(self) -> ModelFolder:
        """A new snapshot of the same folder."""
        return ModelFolder(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @functools.cached_property
    def files(self) -> list[paths.Path]:
        """Files and folders that are not hidden, sorted by name."""
        return paths.matching(self.path, "*")

    @functools.cached_property
    def checkpoints(self) -> list[Checkpoint]:
        """Every complete checkpoint, earliest first."""
        return checkpoints.complete(self.files)

    @functools.cached_property
    def fingerprints(self) -> dict[int, str]:
        """Step -> fingerprint of every complete checkpoint."""
        by_step = {}
        for checkpoint in self.checkpoints:
            with contextlib.suppress(FileNotFoundError):  # a run has just removed it
                by_step[checkpoint.step] = checkpoint.fingerprint
        return by_step

    @property
    def latest(self) -> Checkpoint:
        """The last complete checkpoint.

        Raises:
          errors.UserError: the folder has none.
        """
        return self._some()[-1]

    def best(self, task: str | None) -> Checkpoint:
        """The best checkpoint of a task, by its report of the validation split.

        Raises:
          errors.UserError: no report names one step, or the step has no checkpoint.
        """
        return self.choose("best", task)[0]

    def choose(self, choice: str | int, task: str | None = None) -> list[Checkpoint]:
        """The checkpoints meant by "latest", "all", "best" (of a task) or a step.

        "best" is the checkpoint that a training with evaluations kept apart, else the one that the
        report of the validation split names.

        Raises:
          errors.UserError: the folder has no checkpoint, or none of that step.
        """
        if choice == "best" and (kept := kept_best.checkpoint(self.path, task)):
            return [kept]
        existing = self._some()
        if choice == "all":
            return existing
        if choice == "latest":
            return existing[-1:]
        step = best.find(self.path, task, self.fingerprints) if choice == "best" else choice
        chosen = [checkpoint for checkpoint in existing if str(checkpoint.step) == str(step)]
        if not chosen:
            steps = ", ".join(str(checkpoint.step) for checkpoint in existing)
            raise errors.UserError(
                f"no checkpoint {str(step)!r} in {self}: choose latest, all, best or one of {steps}"
            )
        return chosen

    def _some(self) -> list[Checkpoint]:
        if not self.checkpoints:
            raise errors.UserError(
                f"no checkpoint (model.ckpt-<step>.index and .data-...) in {self}"
            )
        return self.checkpoints

    @functools.cached_property
    def state(self) -> State:
        """TensorFlow's file `checkpoint`, which says where training resumes."""
        return state.read(self.path / state.STATE)

    @functools.cached_property
    def current(self) -> Checkpoint:
        """The checkpoint that training resumes from.

        Raises:
          errors.UserError: the folder has none.
        """
        return self.state.current(self._some())

    def repair(self) -> Checkpoint | None:
        """Make TensorFlow resume from the `current` checkpoint, which is returned.

        TensorFlow trusts its file. If files of the checkpoint that it names were removed because
        they were damaged, it would fail instead of resuming from the one before. Without the file
        it would begin again. In a copied folder it would resume from the original, and delete
        there what is over `keep_checkpoint_max`. Only for the process that trains here: what
        another has not finished is removed.
        """
        for parts in self.path.glob("model.ckpt-*_temp"):  # of a checkpoint, before a kill
            paths.remove_folder(parts)
        if not self.checkpoints:
            return None
        names = [checkpoint.name for checkpoint in self.checkpoints]
        if self.current.name != self.state.named or self.state.has_folders:
            listed = [name for name in names if name in self.state.listed]
            state.write(self.path, self.current.name, listed or names)
        return self.current

    @contextlib.contextmanager
    def lock(self) -> Iterator[ModelFolder]:
        """Hold the folder for this process and yield a snapshot taken meanwhile.

        Two runs would overwrite each other's checkpoints. The file of the lock remains beside the
        run's files and names the process that held it last.

        Raises:
          errors.UserError: another run has the folder.
        """
        if isinstance(self.path, paths.RemotePath):
            self.path.mkdir(parents=True, exist_ok=True)
        with locks.hold(self.path / LOCK, self._refusal):
            yield self.reread()

    def check_free(self) -> None:
        """Raise a UserError if a run trains in the folder; create nothing."""
        if (self.path / LOCK).exists():
            with self.lock():
                pass

    def _refusal(self, holder: str) -> errors.UserError:
        return errors.UserError(
            f"{self} is in use: {holder} trains there. Wait for that run or end it, or choose "
            "another --model_dir"
        )

    @functools.cached_property
    def vocabulary(self) -> str | None:
        """The --vocabulary of the model; None where its task has a vocabulary of its own.

        Raises:
          errors.UserError: the record can't be read.
        """
        return vocabulary.chosen(self.path)

    @functools.cached_property
    def own_data(self) -> own_data.OwnData | None:
        """The user's own files that the model was trained on; None for another task.

        Raises:
          errors.UserError: the record can't be read.
        """
        return own_data.read(self.path)

    @functools.cached_property
    def request(self) -> dict[str, Any] | None:
        """The record of the request that the folder's run was begun with; None without a record.

        Raises:
          errors.UserError: the record is damaged.
        """
        return run_file.read(self.path / run_file.RECORD)

    @property
    def precision(self) -> str | None:
        """The precision of matrix products of the folder's run; None without a run.

        Runs of earlier releases and of T5 had float32 products.

        Raises:
          errors.UserError: the folder's record is damaged.
        """
        if not self.checkpoints:
            return None
        return (self.request or {}).get(run_file.PRECISION, precision.FLOAT32)

    @property
    def reports(self) -> list[paths.Path]:
        """The reports of evaluations."""
        return paths.matches(self.files, "eval_*.json")

    @property
    def operative_config(self) -> paths.Path:
        """The configuration that the model was trained with.

        Raises:
          errors.UserError: the folder has none.
        """
        return checkpoints.operative_config(self.path)

    @property
    def is_average(self) -> bool:
        """True if the folder holds a mean of checkpoints, which can't be trained further."""
        return (self.path / AVERAGE).exists()


def start_checkpoint(path: str | os.PathLike[str] | Checkpoint) -> Checkpoint:
    """The checkpoint to start from: a folder means its latest, else model.ckpt-<step>.

    Raises:
      errors.UserError: it does not exist.
    """
    if isinstance(path, Checkpoint):
        return path
    if paths.of(path).is_dir():
        return ModelFolder.at(path).latest
    return checkpoints.at(str(path))
