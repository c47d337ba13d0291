"""Preparation of a training run: checks that need no TensorFlow."""

import dataclasses
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration, Request, for_training
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.files import saving
from mtf_synthesizer.model_folder import loss_log
from mtf_synthesizer.model_folder import vocabulary as model_vocabulary
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.training import own_data, run_record


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """A run that may begin or resume in a folder.

    Attributes:
      folder: snapshot of the folder that the request was compared with.
      asked: the request of the user.
      request: the request with the start and the vocabulary of the resumed run.
      configuration: configuration of the request.
      start: checkpoint that the run began with; None for initial values.
      precision: precision of matrix products of the resumed run; None for a new run.
    """

    folder: ModelFolder
    asked: Request
    request: Request
    configuration: Configuration
    start: Checkpoint | None
    precision: str | None


def prepare(folder: ModelFolder, asked: Request) -> TrainingRun:
    """Check a request and compare it with the run that a folder holds.

    Raises:
      errors.UserError: a name, file or binding is wrong, the folder can't be written or holds
        another run, or no checkpoint to start from exists.
    """
    saving.check_folder(folder.path)
    if folder.is_average:
        raise errors.UserError(
            f"--model_dir {folder}: an average of checkpoints has no state of the optimizer to "
            f"resume with. Train in another folder, with --init_checkpoint {folder}"
        )
    if folder.checkpoints:
        vocabulary = folder.vocabulary if asked.vocabulary is None else asked.vocabulary
        request = dataclasses.replace(asked, vocabulary=vocabulary)
        request = own_data.measured(request, folder.own_data, resumes=True)
        request = run_record.resumed(folder, request)
    else:
        request = own_data.measured(asked)
    configuration = for_training(request)
    own_data.check_files_of_t5(configuration)
    return TrainingRun(
        folder,
        asked,
        request,
        configuration,
        start_checkpoint(request.init_checkpoint) if request.init_checkpoint else None,
        folder.precision,
    )


def finished(run: TrainingRun) -> dict[str, Any] | None:
    """Return the result of a run that has all its steps; None if some are left.

    The folder alone answers, so that the answer needs no TensorFlow.
    """
    bound = BoundValues(run.configuration.files, run.configuration.params)
    end = bound.value("run", "train_steps")
    if not run.folder.checkpoints or not isinstance(end, int) or run.folder.current.step < end:
        return None
    if run.asked.vocabulary is not None and not _is_recorded(run.asked.vocabulary, run.folder):
        return None  # the ordinary way compares the vocabularies, which may need TensorFlow
    return result(run.folder, end, 0, 0.0)


def _is_recorded(vocabulary: str, folder: ModelFolder) -> bool:
    """Return whether a vocabulary has the name of the one that the model was trained with."""
    record = model_vocabulary.read(folder.path)
    if record is None or record.get("chosen") is None:
        return False
    described = record[record["chosen"]]
    return vocabulary in (described.get("file"), described["kind"])


def result(folder: ModelFolder, end: int, trained: int, seconds: float) -> dict[str, Any]:
    """Return the result of `train`.

    Args:
      folder: after the training.
      end: the step at which training ends.
      trained: number of steps of this call.
      seconds: time of this call.
    """
    losses = loss_log.LossLog(folder.path).read()
    return {
        "model_dir": str(folder.path),
        "step": folder.current.step,
        "end": end,
        "trained": trained,
        "seconds": seconds,
        "loss": losses[-1]["loss"] if losses else None,
        "losses": losses,
        "best": None,
        "metric": None,
    }
