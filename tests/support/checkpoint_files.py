"""Files that look like a checkpoint as long as nobody reads values from it."""

import pathlib

from mtf_synthesizer.model_folder import checkpoints

END = bytes.fromhex("57fb808b247547db")  # as TensorFlow ends an index


def write(folder: pathlib.Path, step: int, content: bytes = b"") -> checkpoints.Checkpoint:
    """Files of a checkpoint whose index holds `content`; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"model.ckpt-{step}.index").write_bytes(content + END)
    (folder / f"model.ckpt-{step}.data-00000-of-00001").touch()
    return checkpoints.Checkpoint(str(folder / f"model.ckpt-{step}"), step)
