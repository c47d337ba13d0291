"""A run that goes on from a checkpoint computes what it would have computed without the stop.

Two things stand against it in Mesh's graph of a training step. Its dropout draws from stateful
operations, which begin anew with every session, and seeds them by Python's hashes of strings, which
every process has others of. And variables change while the same step still reads them. (The order
of the examples is left to `skip_seen_data` of Mesh's `train_model`.)
"""

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

_Placement = mtf.placement_mesh_impl.PlacementMeshImpl
# Function that Mesh draws with -> the one that draws the same distribution from a given seed.
_STATELESS: dict[Callable[..., tf.Tensor], Callable[..., tf.Tensor]] = {
    tf.random.uniform: tf.random.stateless_uniform,
    tf.random.normal: tf.random.stateless_normal,
}


@contextlib.contextmanager
def random_by_step() -> Iterator[None]:
    """Inside, graphs of training draw numbers that follow from seed, operation and step alone.

    The operation counts by its place in the graph. In loops of the graph (the microbatches of
    `serialize_num_microbatches`), whose turns all have one step, Mesh's own operations stay.
    """
    stateful = _Placement.random
    number = itertools.count()

    def random(
        placement: Any, shape: mtf.Shape, tf_fn: Callable[..., tf.Tensor], kwargs: dict[str, Any]
    ) -> Any:
        step = tf.train.get_global_step()
        if step is None or tf_fn not in _STATELESS or _is_in_loop():
            return stateful(placement, shape, tf_fn, kwargs)
        slice_shape = placement.slice_shape(shape)
        operation = f"{tf.get_default_graph().seed},{next(number)}"

        def drawn(device: int) -> tf.Tensor:
            # Devices that hold the same part of a tensor have to agree about it.
            seed = _seed(operation, placement.slice_begin(shape, device), step)
            return _STATELESS[tf_fn](slice_shape, seed=seed, **kwargs)

        return placement.slicewise(drawn, placement.laid_out_pnum())

    # Mesh makes the placement itself and has no argument for another one.
    _Placement.random = random
    try:
        yield
    finally:
        _Placement.random = stateful


def _is_in_loop() -> bool:
    return tf.get_default_graph()._get_control_flow_context() is not None


def _seed(operation: str, begin: Sequence[int], step: tf.Variable) -> tf.Tensor:
    key = zlib.crc32(f"{operation},{list(begin)}".encode())
    return tf.stack([tf.constant(key, tf.int64), tf.cast(step, tf.int64)])


def update_last(train_op: tf.Operation) -> None:
    """Lets a training operation change variables when all that is computed of them has been.

    Mesh lets both run side by side, and what an operation reads of a variable is no copy: the
    gradient of a layer may find the weights of the one above changed already, and the learning
    rate the next step. Of a hundred runs with the same seed hardly two have the same losses.
    """
    updates = [each for each in _members(train_op) if each.type in _UPDATES]
    with tf.control_dependencies([value for each in updates for value in each.inputs[1:]]):
        computed = tf.no_op()
    for each in updates:
        each._add_control_input(computed)


_UPDATES = ("Assign", "AssignAdd", "AssignSub")


def _members(group: tf.Operation) -> Iterator[tf.Operation]:
    """What an operation of `tf.group` waits for, in groups or not."""
    for each in group.control_inputs:
        if each.type == "NoOp":
            yield from _members(each)
        else:
            yield each
