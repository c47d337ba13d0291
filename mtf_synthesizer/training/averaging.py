"""A model whose values are the means of several checkpoints of one run."""

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

# What the model is and its vocabulary, not the run that trained it.
_COPIED = (OPERATIVE_CONFIG, vocabulary.RECORD, vocabulary.COPY)


def average(
    model: ModelFolder, chosen: Sequence[Checkpoint], output: str | os.PathLike[str]
) -> dict[str, Any]:
    """Write a folder with the mean of checkpoints, which `evaluate` and `predict` take as a model.

    Floating-point variables are averaged in float64 and rounded back to their type; all others,
    as the step, are those of the last checkpoint. What belongs to the optimizer is left out.

    Args:
      model: the folder of the checkpoints.
      chosen: the checkpoints, earliest first.
      output: the new folder, which appears once it is complete.

    Returns:
      The record of the average, as it is written: model_dir, checkpoints, variables.

    Raises:
      errors.UserError: they are not of the same variables, the mean is not finite, or the folder is
        there and not empty.
    """
    new_folder.check("--output", output)
    with new_folder.create(output) as folder:
        values = _means(chosen)
        record = {
            "package_version": __version__,
            "model_dir": str(model),
            "checkpoints": [
                {"path": each.path, "step": each.step, "fingerprint": each.fingerprint}
                for each in chosen
            ],
            "variables": len(values),
        }
        saving.write_json(folder / AVERAGE, record)
        for file in (model.path / name for name in _COPIED):
            if file.exists():
                saving.write_bytes(folder / file.name, file.read_bytes())
        name = f"model.ckpt-{chosen[-1].step}"
        _save(str(folder / name), values)
        state.write(folder, name, [name])
    return record


def _means(chosen: Sequence[Checkpoint]) -> dict[str, np.ndarray]:
    """Name -> value of every variable of the model."""
    readers = {each.step: tf.train.load_checkpoint(each.path) for each in chosen}
    variables = {step: _variables(reader) for step, reader in readers.items()}
    last = chosen[-1].step
    for step in readers:
        _check_same(last, variables[last], step, variables[step])
    return {name: _mean(name, readers) for name in sorted(variables[last])}


def _variables(reader: Any) -> dict[str, str]:
    """Name -> shape and type, as text, but for those of an optimizer: it has a state, no mean."""
    types = reader.get_variable_to_dtype_map()
    return {
        name: f"{types[name].name} {list(shape)}"
        for name, shape in reader.get_variable_to_shape_map().items()
        if not is_of_optimizer(name)
    }


def _check_same(last: int, wanted: Mapping[str, str], step: int, found: Mapping[str, str]) -> None:
    differing = sorted(name for name in {**wanted, **found} if wanted.get(name) != found.get(name))
    if differing:
        first = differing[0]
        raise errors.UserError(
            f"the checkpoints are of different models: the variable {first} is "
            f"{found.get(first, 'absent')} at step {step} and {wanted.get(first, 'absent')} at "
            f"step {last}; {len(differing)} differ. Choose others with --steps"
        )


def _mean(name: str, readers: Mapping[int, Any]) -> np.ndarray:
    """The mean over checkpoints, or the value of the last one."""
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
            f"{', '.join(map(str, readers))}: choose others with --steps"
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
