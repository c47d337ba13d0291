"""Sessions without graph optimization, which takes longer than the small graphs of the tests.

Sessions that ask for options of their own (timing, memory) keep the optimization, and so do all
commands that tests start in a process of their own.
"""

import tensorflow.compat.v1 as tf
from tensorflow_estimator.python.estimator import run_config

_default = run_config.get_default_session_config


def _without_optimization() -> tf.ConfigProto:
    config = _default()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def install() -> None:
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    run_config.get_default_session_config = _without_optimization
