"""Devices of a mesh: the visible GPUs, else virtual devices on the CPU.

`gin/mesh_devices.gin` imports this module, so that T5's own script finds the function, too.
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
    """Return as many device names as `utils.run.mesh_shape` has, for `utils.run.mesh_devices`.

    Without a visible GPU these are virtual devices that share the cores of the CPU: they test a
    mesh without making it faster. TPUs need no names, and Mesh ignores these on TPUs.

    Raises:
      UserError: the mesh has more devices than visible GPUs.
    """
    global _processors
    shape = mtf.convert_to_shape(_bound("mesh_shape"))
    gpus = len(tf.config.experimental.list_physical_devices("GPU"))
    if gpus:
        _check_gpus(shape, gpus)
        return [f"gpu:{number}" for number in range(shape.size)]
    _processors = max(_processors, shape.size)
    return [f"cpu:{number}" for number in range(shape.size)]


def check_batch(rows: int) -> None:
    """Raise a UserError if the configured mesh can't divide a batch among its devices."""
    shape, layout = _bound("mesh_shape"), _bound("layout_rules")
    if isinstance(shape, str | list) and isinstance(layout, str | list):
        axes = meshes.pairs(meshes.SHAPE, shape, int)
        rules = meshes.pairs(meshes.RULES, layout, str)
        meshes.check_size("batch_size", "batch", rows, axes, rules)


def _bound(parameter: str) -> Any:
    """Return a parameter that Mesh's `run` is called with."""
    return copy.deepcopy(gin.query_parameter(f"run.{parameter}"))  # copying resolves references


def _check_gpus(shape: mtf.Shape, gpus: int) -> None:
    if shape.size > gpus:
        shape_text = ",".join(f"{dim.name}:{dim.size}" for dim in shape.dims)
        raise UserError(
            f"{meshes.SHAPE} is {shape_text}, {shape.size} devices, but {gpus} GPUs are visible. "
            f"Choose data_devices and model_devices with a product of at most {gpus}, or hide the "
            "GPUs (CUDA_VISIBLE_DEVICES='') for virtual devices on the CPU"
        )


def _session_config() -> tf.ConfigProto:
    """Return the session configuration of Estimators that Mesh gives none."""
    config = _default_session_config()
    config.device_count["CPU"] = _processors
    return config


# Mesh makes its Estimators without a session configuration and has no parameter for it.
run_config.get_default_session_config = _session_config
