"""Lower a Mesh graph for a single device of a mesh, and note its exchanges.

The mesh need not exist, and nothing is run: shapes are the shapes of a device's slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf
from mesh_tensorflow import placement_mesh_impl

from mtf_synthesizer.studies.cost.device.communication import Collective

# Over more devices Mesh sums bfloat16 as float32.
_LARGEST_BFLOAT16_GROUP = 8


class LaidOut(placement_mesh_impl.PlacementMeshImpl.LaidOutTensor):
    """The slice of a tensor on the device."""


class Slice:
    """A variable on the device, with Mesh's interface of variables on a mesh."""

    def __init__(self, variable: mtf.Variable, mesh: OneDevice):
        self._variable = variable
        self.slice = tf.get_variable(
            f"{variable.name}_slice",
            mesh.slice_shape(variable.shape),
            variable.slice_dtype,
            tf.zeros_initializer(),
            trainable=False,
            collections=[],
        )
        self.laid_out_tensor = LaidOut([self.slice])

    def assign_to_slices(
        self, assign_fn: Callable[..., tf.Operation], values: Sequence[tf.Tensor]
    ) -> tf.Operation:
        return tf.group([assign_fn(self._variable, self.slice, value) for value in values])


class OneDevice(mtf.MeshImpl):
    """The first device of a mesh.

    Attributes:
      collectives: exchanges so far, each with its resulting tensor. An exchange whose result is
        not needed never happens.
    """

    LaidOutTensor = LaidOut
    LaidOutVariable = Slice

    def __init__(self, shape: mtf.Shape, layout: mtf.LayoutRules, rounds: int = 1):
        """Prepare for a graph.

        Args:
          shape: shape of the mesh.
          layout: rules of the dimensions that are split.
          rounds: number of rounds of the graph's loops.
        """
        super().__init__(shape, layout)
        self._rounds = rounds
        self.collectives: list[tuple[tf.Tensor, Collective]] = []

    def slicewise(self, fn: Callable[..., Any], *inputs: Any) -> Any:
        laid_out = mtf.ops.convert_args_to_laid_out_tensors(inputs)
        slices = [x.tensor_list[0] if isinstance(x, LaidOut) else x for x in laid_out]
        result = fn(*slices)
        if isinstance(result, tuple):
            return tuple(LaidOut([part]) for part in result)
        return LaidOut([result])

    def allreduce(self, x: Any, mesh_axes: Sequence[int], reduction_fn_string: str) -> LaidOut:
        result = tf.identity(_slice(x))
        if reduction_fn_string == "SUM":
            self._note("all_reduce", mesh_axes, result, self._summed(result, mesh_axes))
        else:
            for axis in mesh_axes:
                size = self._summed(result, [axis]) * self.shape[axis].size
                self._note("all_reduce_max", [axis], result, size)
        return LaidOut([result])

    def allconcat(self, x: Any, mesh_axis: int, concat_axis: int) -> LaidOut:
        x = _slice(x)
        result = tf.concat([x] * int(self.shape[mesh_axis].size), concat_axis)
        self._note("all_gather", [mesh_axis], result, self._summed(result, [mesh_axis]))
        return LaidOut([result])

    def alltoall(self, x: Any, mesh_axis: int, split_axis: int, concat_axis: int) -> LaidOut:
        x = _slice(x)
        parts = tf.split(x, self.shape[mesh_axis].size, split_axis)
        result = tf.concat(parts, concat_axis)
        width = 2 if x.dtype == tf.float32 else x.dtype.size
        self._note("all_to_all", [mesh_axis], result, x.shape.num_elements() * width)
        return LaidOut([result])

    def receive(self, x: Any, mesh_axis: int, source_pcoord: Sequence[int | None]) -> LaidOut:
        result = tf.identity(_slice(x))
        if any(source is not None for source in source_pcoord):
            size = result.shape.num_elements() * result.dtype.size
            self._note("permute", [mesh_axis], result, size)
        return LaidOut([result])

    def random(
        self, shape: mtf.Shape, tf_fn: Callable[..., tf.Tensor], kwargs: dict[str, Any]
    ) -> LaidOut:
        result = tf.identity(tf_fn(self.slice_shape(shape), **kwargs))
        split = self.tensor_layout(shape).tensor_axis_to_mesh_axis
        whole = [axis for axis in range(self.ndims) if axis not in split]
        self._note("random_numbers", whole, result, self._summed(result, whole))
        return LaidOut([result])

    def laid_out_pnum(self) -> LaidOut:
        return LaidOut([tf.constant(0)])

    def import_tf_tensor(self, x: mtf.Tensor, tf_x: tf.Tensor) -> LaidOut:
        if self.tensor_layout(x).is_fully_replicated:
            return LaidOut([tf_x])
        return LaidOut([tf.slice(tf_x, [0] * x.shape.ndims, self.slice_shape(x.shape))])

    def _summed(self, x: tf.Tensor, axes: Sequence[int]) -> int:
        """Bytes of x in the type in which TPUs sum it: float32, or bfloat16 over a few devices."""
        group = math.prod(self.shape[axis].size for axis in axes)
        short = x.dtype == tf.bfloat16 and group <= _LARGEST_BFLOAT16_GROUP
        return int(x.shape.num_elements()) * (2 if short else 4)

    def _note(self, kind: str, axes: Sequence[int], result: tf.Tensor, size: int) -> None:
        """Note an exchange, unless the axes have one device only."""
        names = tuple(self.shape[axis].name for axis in axes if self.shape[axis].size > 1)
        if names:
            looping = tf.get_default_graph()._get_control_flow_context() is not None
            times = self._rounds if looping else 1
            self.collectives.append((result, Collective(kind, names, size, times)))


def _slice(x: Any) -> tf.Tensor:
    return x.to_laid_out_tensor().tensor_list[0]
