"""The graph that T5 and Mesh build for a slice of TPUs, built without one.

It is built as `TPUEstimator` does: Mesh's own model function with `use_tpu`, inside
`tpu.replicate` for all cores of the slice. TPUs need TensorFlow 2.12 to 2.15.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from absl import flags
from tensorflow.python.tpu import device_assignment, topology, tpu

from mtf_synthesizer.studies.cost.device import liveness
from mtf_synthesizer.studies.cost.device.communication import Collective
from mtf_synthesizer.studies.cost.device.one_device import OneDevice
from mtf_synthesizer.studies.cost.device.training_step import StepSetting, model_function

CORES = 8
Features = Mapping[str, Sequence[int]]  # name -> shape of what a data set gives
_MODES = tf.estimator.ModeKeys


class Slice:
    """What Mesh asks a TPUContext for: one host with 2 x 2 chips of two cores, a v2-8 or v3-8."""

    num_hosts = 1
    num_replicas = CORES

    def __init__(self) -> None:
        places = list(itertools.product(range(2), range(2), [0], range(2)))
        self.device_assignment = device_assignment.DeviceAssignment(
            topology.Topology(mesh_shape=[2, 2, 1, 2], device_coordinates=np.array([places])),
            np.array(places)[:, np.newaxis, :],
        )

    def tpu_host_placement_function(self, host_id: int) -> str:
        """The device of a host."""
        return f"/job:worker/task:{host_id}/device:CPU:0"


def training(setting: StepSetting, features: Features) -> list[tf.Operation]:
    """The operations of a training step on one core, in the default graph.

    Args:
      setting: what Mesh's `run` makes of a configuration.
      features: a batch.
    """

    def results(spec: Any) -> list[tf.Tensor]:
        with tf.control_dependencies([spec.train_op]):
            return [tf.identity(spec.loss)]

    return _replicated(model_function(setting, use_tpu=True), _MODES.TRAIN, features, results)


def decoding(setting: StepSetting, features: Features, predict_fn: Any) -> list[tf.Operation]:
    """The operations of decoding a batch on one core, in the default graph.

    Args:
      setting: what Mesh's `run` makes of a configuration.
      features: a batch.
      predict_fn: what decodes with an encoder, None with other models.
    """

    def results(spec: Any) -> list[tf.Tensor]:
        return [spec.predictions[name] for name in sorted(spec.predictions)]

    model_fn = model_function(setting, use_tpu=True, predict_fn=predict_fn)
    return _replicated(model_fn, _MODES.PREDICT, features, results)


def _replicated(
    model_fn: Callable[..., Any],
    mode: str,
    features: Features,
    results: Callable[[Any], list[tf.Tensor]],
) -> list[tf.Operation]:
    slice_of_tpus = Slice()
    flags.FLAGS.mark_as_parsed()  # Mesh looks at its own, of which T5's script has read the rest

    def computation(*tensors: tf.Tensor) -> list[tf.Tensor]:
        given = dict(zip(features, tensors, strict=True))
        return results(model_fn(given, None, mode, {"context": slice_of_tpus}))

    with tf.variable_scope(tf.get_variable_scope(), use_resource=True):
        tf.train.get_or_create_global_step()
    inputs = [tf.placeholder(tf.int32, shape, name) for name, shape in features.items()]
    outputs = tpu.replicate(
        computation, [inputs] * CORES, device_assignment=slice_of_tpus.device_assignment
    )
    needed = liveness.needed(tensor.op for tensor in outputs[0])
    return [each for each in needed if "_tpu_replicate" in each.node_def.attr]


# What Mesh's model function decodes with, where no predict_fn is given.


def _two_stacks(
    model: Any, features: Mapping[str, mtf.Tensor], variable_dtype: Any, **unused: Any
) -> mtf.Tensor:
    return model.decode(features["inputs"], variable_dtype=variable_dtype)


def _one_stack(
    model: Any, features: Mapping[str, mtf.Tensor], variable_dtype: Any, length: int
) -> mtf.Tensor:
    prefix = mtf.pad(features["inputs"], [0, length], "length")
    return model.sample_autoregressive(
        prefix, variable_dtype=variable_dtype, remove_partial_sequences=True
    )


_DECODERS = {"bitransformer": _two_stacks, "lm": _one_stack, "delimited_lm": _one_stack}


class _Decoded(Exception):
    """Takes the Mesh graph out of Mesh's function before it is lowered."""

    def __init__(self, results: list[mtf.Tensor]):
        super().__init__()
        self.results = results


def exchanges_of_decoding(
    setting: StepSetting, features: Features, predict_fn: Any
) -> list[Collective]:
    """What cores should exchange while they decode, by the package's own planning.

    Those in the loop over tokens are there once.
    """

    def caught(**arguments: Any) -> mtf.Tensor:
        length = setting.sequence_length["targets"]
        decode = predict_fn or functools.partial(_DECODERS[setting.model_type], length=length)
        raise _Decoded([decode(**arguments), arguments["features"]["inputs"]])

    model_fn = model_function(setting, use_tpu=False, predict_fn=caught)
    given = {n: tf.placeholder(tf.int32, shape, n) for n, shape in features.items()}
    tf.train.get_or_create_global_step()
    try:
        model_fn(given, None, _MODES.PREDICT, {})
    except _Decoded as found:
        results = [mtf.anonymize(each) for each in found.results]
    device = OneDevice(setting.mesh_shape, setting.layout_rules)
    mesh = results[0].mesh
    lowering = mtf.Lowering(mesh.graph, {mesh: device}, autostack=setting.autostack)
    made = [lowering.tensors[each].to_laid_out_tensor().tensor_list[0] for each in results]
    alive = set(liveness.needed(tensor.op for tensor in made))
    return [what for tensor, what in device.collectives if tensor.op in alive]
