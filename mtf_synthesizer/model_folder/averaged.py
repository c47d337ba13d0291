"""What a folder with an average of checkpoints is, known without loading TensorFlow."""

import os

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder import vocabulary
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG

RECORD = "average.json"
# Of the model's folder: what it is and its vocabulary, not the run that trained it.
COPIED = (OPERATIVE_CONFIG, vocabulary.RECORD, vocabulary.COPY)


def check_trainable(model_dir: str | os.PathLike[str]) -> None:
    """Raises a UserError for a folder in which no training can go on."""
    if (paths.of(model_dir) / RECORD).exists():
        raise errors.UserError(
            f"{model_dir} holds an average of checkpoints, without what the optimizer needs to go "
            f"on. Train in another --model_dir, from --init_checkpoint {model_dir}"
        )
