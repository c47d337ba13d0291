"""Devices of a run: the visible GPUs, else the CPU, unless a device is chosen.

`gin/visible_devices.gin` imports this module, so that T5's own script finds the function, too.
"""

import contextlib
import copy
from typing import Any

import mtf_synthesizer.runtime.compat

import gin
import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from tensorflow_estimator.python.estimator import run_config

from mtf_synthesizer.config.lint import meshes
from mtf_synthesizer.errors import UserError

AUTO = "auto"

_default_session_config = run_config.get_default_session_config
_processors = 1
_chosen = AUTO


def choose(device: str) -> None:
    """Choose the device of the following runs of this process.

    Args:
      device: "auto": the visible GPUs, else the CPU; "cpu"; "gpu": the visible GPUs; or "gpu:N":
        the GPU with the number N.

    Raises:
      UserError: the GPU is not visible.
    """
    global _chosen
    _check_visible(device, gpus())
    if device == "cpu":  # TensorFlow would fill the memory of every visible GPU
        with contextlib.suppress(RuntimeError):  # it has begun already
            tf.config.set_visible_devices([], "GPU")
    _chosen = device


def gpus() -> int:
    """Return the number of GPUs that TensorFlow sees."""
    return len(tf.config.experimental.list_physical_devices("GPU"))


def _check_visible(device: str, visible: int) -> None:
    kind, _, number = device.partition(":")
    if kind != "gpu" or int(number or 0) < visible:
        return
    if not visible:
        raise UserError(
            f"--device {device}: TensorFlow sees no GPU. Install its CUDA libraries "
            "(pip install 'mtf_synthesizer[cuda]') and a driver, or leave --device out"
        )
    raise UserError(
        f"--device {device}: TensorFlow sees {visible} GPUs, gpu:0 to gpu:{visible - 1}. "
        "Choose one of them"
    )


@gin.configurable(module="mtf_synthesizer")
def visible_devices() -> list[str]:
    """Return as many device names as `utils.run.mesh_shape` has, for `utils.run.mesh_devices`.

    On a machine without GPUs, a mesh of one device has the name "", where the variables are, too.
    Mesh then reads and updates the variables themselves. For any other name it makes a second copy
    of each variable, with a third more operations in the graph of a small model.

    Without a visible GPU, and where the CPU is chosen, these are virtual devices that share the
    cores of the CPU: they test a mesh without making it faster. TPUs need no names, and Mesh
    ignores these on TPUs.

    Raises:
      UserError: the mesh has more devices than GPUs that may be used.
    """
    global _processors
    shape = mtf.convert_to_shape(_bound("mesh_shape"))
    kind, _, number = _chosen.partition(":")
    first, visible = int(number or 0), 0 if kind == "cpu" else gpus()
    if visible:
        _check_gpus(shape, 1 if number else visible)
        return [f"gpu:{first + n}" for n in range(shape.size)]
    if shape.size == 1 and not gpus():
        return [""]
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


def _check_gpus(shape: mtf.Shape, usable: int) -> None:
    if shape.size > usable:
        shape_text = ",".join(f"{dim.name}:{dim.size}" for dim in shape.dims)
        raise UserError(
            f"{meshes.SHAPE} is {shape_text}, {shape.size} devices, but {usable} GPUs are visible "
            f"to it. Choose a --mesh of at most {usable}, or virtual devices with --device cpu"
        )


def _session_config() -> tf.ConfigProto:
    """Return the session configuration of Estimators that Mesh gives none."""
    config = _default_session_config()
    config.device_count["CPU"] = _processors
    return config


# Mesh makes its Estimators without a session configuration and has no parameter for it.
run_config.get_default_session_config = _session_config
