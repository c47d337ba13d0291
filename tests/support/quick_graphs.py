"""Graphs that are built and started quickly: most of the time of the tests goes into small graphs.

- Sessions without graph optimization, which takes longer than the steps of a small graph.
- TensorFlow's own faster reading of the inputs of an operation, which is off by default.
- No list of allowed types for an error message that is not raised.
- No Python stack of each operation, which only TensorFlow's error messages show.
- Whole numbers that shapes and axes need, a third of all operations, stand in a graph once.

The other operations of a graph stay the same. Sessions that ask for options of their own (timing,
memory) keep the optimization, and so do commands in a process that does not call `install`.
"""

import contextlib

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.config import flags
from tensorflow.python.framework import op_def_library, ops
from tensorflow.python.util import tf_stack
from tensorflow_estimator.python.estimator import run_config

_SMALL = 16  # numbers of an array that is worth a look for an equal one

_default = run_config.get_default_session_config
_check_type = op_def_library._SatisfiesTypeConstraint
_constant = ops._create_graph_constant


def _without_optimization() -> tf.ConfigProto:
    config = _default()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def _check_type_quickly(dtype, attr_def, param_name):
    allowed = attr_def.allowed_values.list.type
    if attr_def.HasField("allowed_values") and dtype not in allowed:
        _check_type(dtype, attr_def, param_name)  # raises


def _whole_numbers(value) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "i" and value.size <= _SMALL
    if isinstance(value, list | tuple):
        return len(value) <= _SMALL and all(type(number) is int for number in value)
    return type(value) is int


def _constant_once(value, dtype, shape, name, verify_shape, allow_broadcast):
    graph = tf.get_default_graph()
    if graph._control_dependencies_stack or not _whole_numbers(value):
        return _constant(value, dtype, shape, name, verify_shape, allow_broadcast)
    array = np.asarray(value)
    key = (
        (array.dtype, array.shape, array.tobytes(), dtype, None if shape is None else tuple(shape)),
        tuple(scope.display_name for scope in graph._device_function_stack.peek_objs()),
        graph._get_control_flow_context(),
    )
    if not hasattr(graph, "_known_numbers"):
        graph._known_numbers = {}  # here, so that it ends with the graph
    known = graph._known_numbers
    if key not in known:
        known[key] = _constant(value, dtype, shape, name, verify_shape, allow_broadcast)
    return known[key]


@contextlib.contextmanager
def every_constant():
    """Graphs with every constant meanwhile, for what depends on the order of a graph."""
    ops._create_graph_constant = _constant
    try:
        yield
    finally:
        ops._create_graph_constant = _constant_once


def install() -> None:
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    run_config.get_default_session_config = _without_optimization
    flags.config().graph_building_optimization.reset(True)
    op_def_library._SatisfiesTypeConstraint = _check_type_quickly
    stack = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: stack
    ops._create_graph_constant = _constant_once
