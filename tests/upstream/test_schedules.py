"""The first and the last part of a run, whatever step it begins with."""

import functools

import mtf_synthesizer.runtime.compat

import gin
import pytest
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import learning_rate_schedules

from mtf_synthesizer.upstream import schedules

LIST = """
learning_rate_schedules.linear_warmup.steps_or_fraction = 4
learning_rate_schedules.linear_decay.steps_or_fraction = 0.5
"""


@pytest.fixture(autouse=True)
def configuration():
    gin.clear_config()
    gin.parse_config(LIST)
    yield
    gin.clear_config()


def rates(begun, steps, total):
    with schedules.counted_from(begun):
        schedule = functools.partial(  # as Mesh's `run` makes it
            learning_rate_schedules.product_learning_rate,
            total_train_steps=total,
            factors=[
                0.5,
                learning_rate_schedules.linear_warmup,
                learning_rate_schedules.linear_decay,
            ],
        )
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run([schedule(tf.constant(step, tf.int64)) for step in steps])


# A run of 20 steps: warm-up in the first 4, decay in the last 10.
EXPECTED = {0: 0.0, 2: 0.25, 4: 0.5, 10: 0.5, 15: 0.25, 19: 0.05, 20: 0.0}


@pytest.mark.parametrize("begun", [0, 1000])
def test_parts_are_of_the_run(begun):
    found = rates(begun, [begun + step for step in EXPECTED], begun + 20)
    assert found == pytest.approx([*EXPECTED.values()])


def test_the_offset_of_t5_counts_once():
    gin.parse_config("learning_rate_schedules.product_learning_rate.offset = 1000")
    found = rates(1000, [1000 + step for step in EXPECTED], 1020)
    assert found == pytest.approx([*EXPECTED.values()])


def test_other_factors_see_the_step_of_the_checkpoint():
    with schedules.counted_from(1000):
        schedule = functools.partial(
            learning_rate_schedules.product_learning_rate,
            total_train_steps=1020,
            factors=[learning_rate_schedules.truncated_rsqrt],
        )
    gin.parse_config("learning_rate_schedules.truncated_rsqrt.warmup_steps = 10")
    with tf.Graph().as_default(), tf.Session() as session:
        assert session.run(schedule(tf.constant(1015))) == pytest.approx(1015**-0.5)
