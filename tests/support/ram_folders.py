"""TensorFlow's file system in memory, whose files and folders are told apart as elsewhere."""

import uuid

import mtf_synthesizer.runtime.compat

import pytest
import tensorflow as tf
from tensorflow.python.platform import gfile

from mtf_synthesizer.files import paths


def bucket() -> paths.RemotePath:
    """A folder of its own."""
    return paths.RemotePath(f"ram://{uuid.uuid4()}")


@pytest.fixture(scope="module", autouse=True)
def exact_names():
    """`ram://` takes the beginning of a name for a file or folder that is there; gs:// does not."""
    isdir, exists = gfile.IsDirectory, tf.io.gfile.exists
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gfile, "IsDirectory", lambda path: isdir(path) and _is_listed(path))
        patch.setattr(tf.io.gfile, "isdir", lambda path: isdir(path) and _is_listed(path))
        patch.setattr(tf.io.gfile, "exists", lambda path: exists(path) and _is_listed(path))
        yield


def _is_listed(path) -> bool:
    parent, _, name = str(path).rstrip("/").rpartition("/")
    return not parent.startswith("ram://") or name in tf.io.gfile.listdir(parent)
