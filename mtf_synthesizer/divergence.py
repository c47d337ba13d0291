"""What to do when the loss is no longer a number."""

import os

import mtf_synthesizer.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer.checkpoints import Checkpoint, checkpoints

_ADVICE = "a smaller learning rate, more warm-up or --gin_file clip_gradients.gin"


def advice(model_dir: str | os.PathLike[str], step: int) -> str:
    """A sentence for a run that ended so at a step."""
    what = f"the loss is no longer a finite number at step {step}"
    found = checkpoints(model_dir)
    good = [each for each in found if _is_finite(each)]
    if not good:
        return f"{what}, and no checkpoint is good. Start anew with {_ADVICE}"
    worse = len(found) - found.index(good[-1]) - 1
    others = f"; {worse} later ones hold infinite values" if worse else ""
    return (
        f"{what}. The last good checkpoint is {good[-1].path}{others}. Start a new folder from it, "
        f"with --init_checkpoint, and with {_ADVICE}"
    )


def _is_finite(checkpoint: Checkpoint) -> bool:
    """Whether all values of a checkpoint are numbers."""
    reader = tf.train.load_checkpoint(checkpoint.path)
    types = reader.get_variable_to_dtype_map()
    return all(
        np.isfinite(reader.get_tensor(name).astype(np.float32)).all()
        for name, dtype in types.items()
        if dtype.is_floating
    )
