"""Graphs that are built and started quickly: most of the time of the tests goes into small graphs.

- Sessions without graph optimization, which takes longer than the steps of a small graph.
- TensorFlow's own faster reading of the inputs of an operation, which is off by default.
- No list of allowed types for an error message that is not raised.

The operations of a graph stay the same. Sessions that ask for options of their own (timing, memory)
keep the optimization, and so do commands in a process that does not call `install`.
"""

import tensorflow.compat.v1 as tf
from tensorflow.core.config import flags
from tensorflow.python.framework import op_def_library
from tensorflow_estimator.python.estimator import run_config

_default = run_config.get_default_session_config
_check_type = op_def_library._SatisfiesTypeConstraint


def _without_optimization() -> tf.ConfigProto:
    config = _default()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def _check_type_quickly(dtype, attr_def, param_name):
    allowed = attr_def.allowed_values.list.type
    if attr_def.HasField("allowed_values") and dtype not in allowed:
        _check_type(dtype, attr_def, param_name)  # raises


def install() -> None:
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    run_config.get_default_session_config = _without_optimization
    flags.config().graph_building_optimization.reset(True)
    op_def_library._SatisfiesTypeConstraint = _check_type_quickly
