"""What is read of a checkpoint while a model trains."""

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer.training import attention_summaries, estimator


@pytest.mark.parametrize("heads", [(), (3,), (2, 3)], ids=["one head", "heads", "grouped heads"])
def test_alphas_have_a_row_for_each_head(tmp_path, heads):
    weights = np.random.RandomState(0).normal(size=(*heads, 2)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("encoder/layer/mixture/alpha", initializer=weights)
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, str(tmp_path / "model.ckpt"))
    [(layer, alpha)] = attention_summaries.alphas(path).items()
    assert layer == "encoder/layer"
    wanted = np.exp(weights) / np.exp(weights).sum(-1, keepdims=True)
    np.testing.assert_allclose(alpha, wanted.reshape(-1, 2), rtol=1e-6)


def test_print_is_taken_away():
    with tf.Graph().as_default():
        loss = tf.constant(1.0)
        printed = tf.Print(loss, [loss], "step")
        assert estimator._without_print(printed) is loss
        assert estimator._without_print(loss) is loss
