"""TensorFlow's file `checkpoint`, which says where training goes on."""

import os

import mtf_synthesizer.compat

import tensorflow.compat.v1 as tf

from mtf_synthesizer.checkpoints import checkpoints


def point_to_complete(model_dir: str | os.PathLike[str]) -> None:
    """Lets training go on from the last complete checkpoint.

    TensorFlow trusts its file: if files of the checkpoint that it names have been removed because
    they were damaged, it would fail instead of going on from the one before.
    """
    found = checkpoints(model_dir)
    state = tf.train.get_checkpoint_state(str(model_dir))
    if not found or state is None:
        return
    names = [os.path.basename(checkpoint.path) for checkpoint in found]
    if os.path.basename(state.model_checkpoint_path) not in names:
        paths = [checkpoint.path for checkpoint in found]
        tf.train.update_checkpoint_state(str(model_dir), paths[-1], paths)
