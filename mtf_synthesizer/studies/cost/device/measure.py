"""Memory and exchanges of each device of a mesh in a training step, for meshes of any size.

Nothing is run. The step is built as Mesh builds it and lowered for one device (`one_device`).
Parameters, optimizer, gradients and exchanges are exact; activations are an estimate (`liveness`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import utils

from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.studies.cost.device import liveness, training_step
from mtf_synthesizer.studies.cost.device.communication import (
    Collective,
    Traffic,
    bytes_by_kind,
    traffic,
)
from mtf_synthesizer.studies.cost.device.layout import MeshLayout, parse
from mtf_synthesizer.studies.cost.device.one_device import LaidOut, OneDevice
from mtf_synthesizer.studies.cost.device.training_step import Step, StepSetting
from mtf_synthesizer.upstream import graph, session
from mtf_synthesizer.upstream.model import Model as TrainedModel

_LOCAL = "local_cpu.gin"
_ON_TPU = "bfloat16.gin"
# The default of Mesh's `run`.
_BATCH = ("tokens_per_replica", 2048)


@dataclasses.dataclass(frozen=True)
class DeviceCost:
    """Memory and exchanges of one device; all bytes are bytes of a single device.

    Attributes:
      layout: the mesh, and the dimensions that it splits.
      rows: rows of the whole batch.
      microbatches: number of parts of the batch that follow one another in a step.
      variable_type: type of the variables on the devices.
      activation_type: type of the activations.
      parameters: bytes of the model's variables.
      trained: bytes of the model's variables that the optimizer changes.
      optimizer: bytes of the optimizer's variables.
      gradients: bytes of all gradients.
      peak: the peak of memory beside variables, and the share of gradients in it.
      traffic: exchanges of a step.
      unused_rules: dimensions of the layout that no tensor has.
    """

    layout: MeshLayout
    rows: int
    microbatches: int
    variable_type: str
    activation_type: str
    parameters: int
    trained: int
    optimizer: int
    gradients: int
    peak: liveness.Peak
    traffic: tuple[Traffic, ...]
    unused_rules: tuple[str, ...]

    @property
    def activations(self) -> int:
        """Bytes at the peak beside variables and gradients."""
        return self.peak.bytes - self.peak.marked_bytes

    @property
    def total(self) -> int:
        """Bytes at the peak; not all gradients exist when the activations are largest."""
        return self.parameters + self.optimizer + self.peak.bytes

    @property
    def communication(self) -> dict[str, int]:
        """Map kinds to bytes of a step."""
        return bytes_by_kind(self.traffic)


def measure(
    configuration: Configuration,
    mesh_shape: str,
    layout: str | None,
    batch_size: int | None,
    vocabulary_size: int,
    verbose: bool = False,
) -> DeviceCost:
    """Build and measure the training step of a configuration for a mesh.

    Args:
      configuration: the configuration.
      mesh_shape: as `--mesh_shape`.
      layout: as `--layout`; None for the configuration's.
      batch_size: rows of the whole batch; None for the configuration's.
      vocabulary_size: number of words; Mesh rounds it up to a multiple of 128.
      verbose: whether to show all logs.

    Raises:
      UserError: the layout does not fit the model.
    """
    with session.configured(as_on_tpu(configuration), verbose):
        default = graph.bound("run.layout_rules", "")
        plan = parse(mesh_shape, layout, default)
        step_of = _step_setting(plan, batch_size, vocabulary_size)
        return of_step(step_of, plan)


def of_training(model: TrainedModel) -> DeviceCost:
    """Measure the training step of a model on one device, under its gin configuration.

    Args:
      model: model from `session.build`.
    """
    plan = parse("batch:1", None, "")
    words = max(graph.words(model.vocabulary))
    return of_step(_step_setting(plan, model.batch_size, words), plan)


def as_on_tpu(configuration: Configuration) -> Configuration:
    """The configuration with settings for TPUs in place of those that `train` adds for CPUs."""
    files = list(configuration.files)
    # The first occurrence is that of `train`; a user's own gin files come later.
    where = files.index(_LOCAL) if _LOCAL in files else 0
    files[where : where + (_LOCAL in files)] = [_ON_TPU]
    return dataclasses.replace(configuration, files=tuple(files))


def _step_setting(plan: MeshLayout, batch_size: int | None, vocabulary_size: int) -> StepSetting:
    shape = mtf.Shape([mtf.Dimension(name, size) for name, size in plan.axes])
    rules = mtf.LayoutRules(plan.rules)
    lengths = graph.bound("run.sequence_length", {})
    rows = batch_size or graph.bound("run.batch_size", _BATCH)
    if not isinstance(rows, int):
        rows = utils.compute_batch_size(lengths, shape, rules, rows)
    model_type = graph.model_type()
    return StepSetting(
        model=graph.build(model_type, (vocabulary_size, vocabulary_size), rules, shape),
        model_type=model_type,
        mesh_shape=shape,
        layout_rules=rules,
        batch_size=rows,
        sequence_length=lengths,
        packed=graph.is_packed(),
        optimizer=graph.bound("run.optimizer", None),
        variable_filter=graph.bound("run.variable_filter", None),
        autostack=graph.bound("run.autostack", True),
    )


def of_step(setting: StepSetting, plan: MeshLayout) -> DeviceCost:
    """Measure a step under the current gin configuration.

    Raises:
      UserError: the layout does not fit the model.
    """
    plan.check_tensor([("batch", setting.batch_size)])
    with tf.Graph().as_default():
        with _fitting(plan):
            step = training_step.build(setting)
        tensors = [t for operation in step.mesh.graph.operations for t in operation.outputs]
        for tensor in tensors:
            plan.check_tensor([(dim.name, dim.size) for dim in tensor.shape.dims])
        rounds = training_step.microbatches(setting)
        device = OneDevice(setting.mesh_shape, setting.layout_rules, rounds)
        sizes = _variables(step, device)
        peak, exchanged = _lowered(step, device, plan, setting.autostack)
        types = utils.get_variable_dtype()
        return DeviceCost(
            layout=plan,
            rows=setting.batch_size,
            microbatches=rounds,
            variable_type=types.slice_dtype.name,
            activation_type=types.activation_dtype.name,
            parameters=sizes["parameters"],
            trained=sizes["trained"],
            optimizer=sizes["optimizer"],
            gradients=sum(_bytes(device, g.shape, g.dtype) for g in step.gradients),
            peak=peak,
            traffic=traffic(exchanged),
            unused_rules=tuple(
                plan.unused_rules(dim.name for tensor in tensors for dim in tensor.shape.dims)
            ),
        )


def _variables(step: Step, device: OneDevice) -> dict[str, int]:
    """Bytes on a device of the model's variables, the trained ones, and the optimizer's."""
    model = set(step.model_variables)
    kinds = {
        "parameters": step.model_variables,
        "trained": step.trained,
        "optimizer": [v for v in step.mesh.graph.all_variables if v not in model],
    }
    return {
        kind: sum(_bytes(device, v.shape, v.slice_dtype) for v in variables)
        for kind, variables in kinds.items()
    }


def _bytes(device: OneDevice, shape: mtf.Shape, dtype: tf.DType) -> int:
    return int(device.slice_size(shape) * dtype.size)


def _lowered(
    step: Step, device: OneDevice, plan: MeshLayout, autostack: bool
) -> tuple[liveness.Peak, Iterable[Collective]]:
    """The peak of a device's computation, and the exchanges whose results are needed."""
    with _fitting(plan):
        lowering = mtf.Lowering(step.mesh.graph, {step.mesh: device}, autostack=autostack)
    results = [lowering.lowered_operation(update) for update in step.updates]
    results.append(_on_device(lowering.tensors[step.loss].to_laid_out_tensor()).op)
    gradients = [_before_sum(lowering.tensors[gradient]) for gradient in step.gradients]
    operations = liveness.needed(results)
    alive = set(operations)
    exchanged = [collective for result, collective in device.collectives if result.op in alive]
    return liveness.peak(operations, gradients), exchanged


@contextlib.contextmanager
def _fitting(plan: MeshLayout) -> Iterator[None]:
    """Report Mesh's errors inside the block as errors of the layout."""
    try:
        yield
    except (ValueError, NotImplementedError) as error:
        why = str(error).strip().splitlines()[0]  # gin appends lines about the call
        raise UserError(
            f"--mesh_shape {plan.shape_text}, {plan.source} {plan.rules_text}: {why}"
        ) from error


def _before_sum(laid_out: mtf.ops.LazyAllreduceSum | LaidOut) -> tf.Tensor:
    """A tensor on the device; a sum over devices shares the memory of its addend."""
    if isinstance(laid_out, mtf.ops.LazyAllreduceSum):
        laid_out = laid_out.laid_out_input
    return _on_device(laid_out)


def _on_device(laid_out: LaidOut) -> tf.Tensor:
    slices: list[tf.Tensor] = laid_out.tensor_list
    return slices[0]
