"""Folders that hold an average of checkpoints; no TensorFlow needed."""

import os

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import vocabulary
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG

RECORD = "average.json"
# Files copied from the model's folder: its configuration and vocabulary, not its training run.
COPIED = (OPERATIVE_CONFIG, vocabulary.RECORD, vocabulary.COPY)


def check_trainable(model_dir: str | os.PathLike[str]) -> None:
    """Raise a UserError for a folder with an average, which can't be trained further."""
    if (paths.of(model_dir) / RECORD).exists():
        raise errors.UserError(
            f"{model_dir} holds an average of checkpoints without optimizer state. Train in "
            f"another --model_dir, with --init_checkpoint {model_dir}"
        )
