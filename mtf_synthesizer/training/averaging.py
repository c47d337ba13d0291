"""Averages of checkpoints: models whose variables are means over checkpoints of one run."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.files import new_folder, saving
from mtf_synthesizer.model_folder import state, vocabulary
from mtf_synthesizer.model_folder.checkpoints import (
    OPERATIVE_CONFIG,
    Checkpoint,
    is_of_optimizer,
)
from mtf_synthesizer.model_folder.folder import AVERAGE, ModelFolder

# Files that define the model and its vocabulary; the record of the run is not copied.
_COPIED = (OPERATIVE_CONFIG, vocabulary.RECORD, vocabulary.COPY)


def average(
    model: ModelFolder, checkpoints: Sequence[Checkpoint], output: str | os.PathLike[str]
) -> dict[str, Any]:
    """Write a model folder with the mean of checkpoints, for `evaluate` and `predict`.

    Floating-point variables are averaged in float64 and rounded to their type. All other
    variables, for example the step, are copied from the last checkpoint. Variables of the
    optimizer are left out.

    Args:
      model: folder of the checkpoints.
      checkpoints: the checkpoints, earliest first.
      output: the new folder; it appears when it is complete.

    Returns:
      The record of the average: package_version, model_dir, checkpoints, variables.

    Raises:
      errors.UserError: the checkpoints have different variables, the mean is not finite, or the
        folder exists and is not empty.
    """
    new_folder.check("--output", output)
    with new_folder.create(output) as folder:
        values = _means(checkpoints)
        record = {
            "package_version": __version__,
            "model_dir": str(model),
            "checkpoints": [
                {
                    "path": checkpoint.path,
                    "step": checkpoint.step,
                    "fingerprint": checkpoint.fingerprint,
                }
                for checkpoint in checkpoints
            ],
            "variables": len(values),
        }
        saving.write_json(folder / AVERAGE, record)
        for file in (model.path / name for name in _COPIED):
            if file.exists():
                saving.write_bytes(folder / file.name, file.read_bytes())
        name = f"model.ckpt-{checkpoints[-1].step}"
        _save(str(folder / name), values)
        state.write(folder, name, [name])
    return record


def _means(checkpoints: Sequence[Checkpoint]) -> dict[str, np.ndarray]:
    """Return name -> mean of every variable of the model."""
    readers = {
        checkpoint.step: tf.train.load_checkpoint(checkpoint.path) for checkpoint in checkpoints
    }
    variables = {step: _variables(reader) for step, reader in readers.items()}
    last = checkpoints[-1].step
    for step in readers:
        _check_same(last, variables[last], step, variables[step])
    return {name: _mean(name, readers) for name in sorted(variables[last])}


def _variables(reader: Any) -> dict[str, str]:
    """Return name -> type and shape as text, without variables of the optimizer.

    The state of an optimizer belongs to one step, so its mean has no meaning.
    """
    types = reader.get_variable_to_dtype_map()
    return {
        name: f"{types[name].name} {list(shape)}"
        for name, shape in reader.get_variable_to_shape_map().items()
        if not is_of_optimizer(name)
    }


def _check_same(
    last: int, expected: Mapping[str, str], step: int, variables: Mapping[str, str]
) -> None:
    differing = sorted(
        name for name in {**expected, **variables} if expected.get(name) != variables.get(name)
    )
    if differing:
        first = differing[0]
        raise errors.UserError(
            f"the checkpoints are of different models: the variable {first} is "
            f"{variables.get(first, 'absent')} at step {step} and "
            f"{expected.get(first, 'absent')} at step {last}; {len(differing)} differ. Choose "
            "other checkpoints with --steps"
        )


def _mean(name: str, readers: Mapping[int, Any]) -> np.ndarray:
    """Return the mean over checkpoints; for integers the value of the last checkpoint."""
    *others, last = readers.values()
    value: np.ndarray = np.asarray(last.get_tensor(name))
    if not tf.as_dtype(value.dtype).is_floating:
        return value
    total = value.astype(np.float64)
    for reader in others:
        total += reader.get_tensor(name).astype(np.float64)
    if not np.isfinite(total).all():
        raise errors.UserError(
            f"{name} has values that are not finite at one of the steps "
            f"{', '.join(map(str, readers))}. Choose other checkpoints with --steps"
        )
    return np.asarray(total / len(readers)).astype(value.dtype)


def _save(path: str, values: Mapping[str, np.ndarray]) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = [tf.placeholder(value.dtype, value.shape) for value in values.values()]
        save = tf.raw_ops.SaveV2(
            prefix=path,
            tensor_names=list(values),
            shape_and_slices=[""] * len(values),
            tensors=tensors,
        )
        session.run(save, dict(zip(tensors, values.values(), strict=True)))
