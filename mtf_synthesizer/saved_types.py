"""The type of the numbers in a checkpoint: a run keeps its own, and no other can be read."""

import dataclasses
import os

import mtf_synthesizer.compat

import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import checkpoint_state, names
from mtf_synthesizer.configuration import EXACT_FILE, Configuration, checkpoints


def is_rounded(path: str) -> bool:
    """Whether a checkpoint holds bfloat16, as T5's do and those of earlier releases."""
    return tf.bfloat16 in tf.train.load_checkpoint(path).get_variable_to_dtype_map().values()


def kept(wanted: Configuration, model_dir: str | os.PathLike[str]) -> Configuration:
    """The configuration of a run that goes on: in bfloat16, as Mesh saves, where it is saved so."""
    if not checkpoints(model_dir) or not is_rounded(checkpoint_state.current(model_dir).path):
        return wanted
    files = tuple(file for file in wanted.files if file != EXACT_FILE)
    return dataclasses.replace(wanted, files=files)


def check(path: str) -> None:
    """Compares the types of the current graph's variables with those of a checkpoint.

    Raises:
      names.UserError: they are others, which TensorFlow would say of each variable.
    """
    types = tf.train.load_checkpoint(path).get_variable_to_dtype_map()
    for variable in tf.global_variables():
        saved, wanted = types.get(variable.op.name), variable.dtype.base_dtype
        if saved not in (None, wanted) and utils.should_load_variable(variable.op.name):
            raise names.UserError(
                f"{path} is saved as {saved.name}, which can't be read as {wanted.name}: leave "
                f"out the binding get_variable_dtype.master_dtype = {wanted.name!r}. (A run that "
                "begins in a new folder with --init_checkpoint may have another type)"
            )
