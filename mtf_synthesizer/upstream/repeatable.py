"""Repeatable training: a resumed run computes exactly what an uninterrupted run computes.

Two properties of Mesh's training graph prevent this. Dropout draws from stateful operations, which
restart with every session and are seeded by Python's hashes of strings, which differ between
processes. And variables change while the same step still reads them. The order of the examples is
left to `skip_seen_data` of Mesh's `train_model`.
"""

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import tensorflow.compat.v1 as tf

_LARGEST_SEED = 2**31 - 1
_Placement = mtf.placement_mesh_impl.PlacementMeshImpl
# Function that Mesh draws with -> stateless function for the same distribution.
_STATELESS: dict[Callable[..., tf.Tensor], Callable[..., tf.Tensor]] = {
    tf.random.uniform: tf.random.stateless_uniform,
    tf.random.normal: tf.random.stateless_normal,
}


@contextlib.contextmanager
def random_by_step() -> Iterator[None]:
    """Make training graphs inside draw numbers that depend on seed, operation and step alone.

    An operation is identified by its place in the graph. Loops of the graph (the microbatches of
    `serialize_num_microbatches`) keep Mesh's own operations, because all turns have the same step.
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
            # Devices that hold the same part of a tensor must draw the same numbers.
            seed = _seed(operation, placement.slice_begin(shape, device), step)
            return _STATELESS[tf_fn](slice_shape, seed=seed, **kwargs)

        return placement.slicewise(drawn, placement.laid_out_pnum())

    # Mesh creates the placement itself and takes no other placement as an argument.
    _Placement.random = random
    try:
        yield
    finally:
        _Placement.random = stateful


@contextlib.contextmanager
def random_by_seed() -> Iterator[None]:
    """Make graphs inside draw the same numbers in every session, by the seed of the graph.

    Mesh seeds its operations by Python's random numbers and hashes, which differ between
    processes. The operations keep their state, so that each turn of a decoding loop draws others.
    """
    number = itertools.count()

    def random(
        placement: Any, shape: mtf.Shape, tf_fn: Callable[..., tf.Tensor], kwargs: dict[str, Any]
    ) -> Any:
        slice_shape, operation = placement.slice_shape(shape), next(number)

        def drawn(device: int) -> tf.Tensor:
            begin = list(placement.slice_begin(shape, device))
            seed = zlib.crc32(f"{operation},{begin}".encode()) & _LARGEST_SEED
            return tf_fn(slice_shape, seed=seed, **kwargs)

        return placement.slicewise(drawn, placement.laid_out_pnum())

    with mock.patch.object(_Placement, "random", random):
        yield


def _is_in_loop() -> bool:
    return tf.get_default_graph()._get_control_flow_context() is not None


def _seed(operation: str, begin: Sequence[int], step: tf.Variable) -> tf.Tensor:
    key = zlib.crc32(f"{operation},{list(begin)}".encode())
    return tf.stack([tf.constant(key, tf.int64), tf.cast(step, tf.int64)])


def update_last(train_op: tf.Operation) -> None:
    """Make a training operation change variables only after all reads of them.

    Mesh lets reads and updates run side by side, and a read of a variable is not a copy. The
    gradient of a layer may see updated weights of the layer above, and the learning rate the next
    step. Without this, hardly two of a hundred runs with the same seed have the same losses.
    """
    updates = [update for update in _members(train_op) if update.type in _UPDATES]
    with tf.control_dependencies([operand for update in updates for operand in update.inputs[1:]]):
        computed = tf.no_op()
    for update in updates:
        update._add_control_input(computed)


_UPDATES = ("Assign", "AssignAdd", "AssignSub")


def _members(group: tf.Operation) -> Iterator[tf.Operation]:
    """Yield the operations that a `tf.group` waits for, nested groups included."""
    for member in group.control_inputs:
        if member.type == "NoOp":
            yield from _members(member)
        else:
            yield member
