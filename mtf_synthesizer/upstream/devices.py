"""The devices of a mesh: the graphics cards that are visible, else virtual ones of the processor.

`gin/mesh_devices.gin` imports this, so that T5's own script finds it, too.
"""

import copy
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from tensorflow_estimator.python.estimator import run_config

from mtf_synthesizer.config.lint import meshes
from mtf_synthesizer.errors import UserError

_default_session_config = run_config.get_default_session_config
_processors = 1


@gin.configurable(module="mtf_synthesizer")
def visible_devices() -> list[str]:
    """Names of as many devices as `utils.run.mesh_shape` has, for `utils.run.mesh_devices`.

    Where no card is visible these are virtual devices of the processor, which share its cores: a
    mesh is tried out with them, not made faster. TPUs are not asked for: Mesh ignores the names.

    Raises:
      UserError: fewer cards are visible than the mesh has devices.
    """
    global _processors
    shape = mtf.convert_to_shape(_bound("mesh_shape"))
    cards = len(tf.config.experimental.list_physical_devices("GPU"))
    if cards:
        _check_cards(shape, cards)
        return [f"gpu:{number}" for number in range(shape.size)]
    _processors = max(_processors, shape.size)
    return [f"cpu:{number}" for number in range(shape.size)]


def check_batch(rows: int) -> None:
    """Raises a UserError if a batch can't be divided among the devices of the configured mesh."""
    shape, layout = _bound("mesh_shape"), _bound("layout_rules")
    if isinstance(shape, str | list) and isinstance(layout, str | list):
        axes = meshes.pairs(meshes.SHAPE, shape, int)
        rules = meshes.pairs(meshes.RULES, layout, str)
        meshes.check_size("batch_size", "batch", rows, axes, rules)


def _bound(parameter: str) -> Any:
    """What Mesh's `run` is called with."""
    return copy.deepcopy(gin.query_parameter(f"run.{parameter}"))  # gin resolves what is copied


def _check_cards(shape: mtf.Shape, cards: int) -> None:
    if shape.size > cards:
        wanted = ",".join(f"{dim.name}:{dim.size}" for dim in shape.dims)
        raise UserError(
            f"{meshes.SHAPE} is {wanted}, {shape.size} devices, but {cards} graphics cards are "
            f"visible: choose data_devices and model_devices with a product of at most {cards}, "
            "or hide the cards (CUDA_VISIBLE_DEVICES='') for virtual devices of the processor"
        )


def _session_config() -> tf.ConfigProto:
    """What Estimators open their sessions with, where Mesh leaves that to them."""
    config = _default_session_config()
    config.device_count["CPU"] = _processors
    return config


# Mesh makes its Estimators without a configuration of sessions and has no parameter for one.
run_config.get_default_session_config = _session_config
