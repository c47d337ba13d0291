"""Looked-up embeddings: Mesh's own values and gradients, on one device and two."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import constant, run
from mesh_tensorflow.transformer import transformer

from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.mesh.embedding import GatheredEmbedding
from mtf_synthesizer.upstream import session

IDS = np.array([[3, 0, 3, 6, 1], [2, 2, 2, 3, 10], [0, 7, 8, 9, 4], [5, 5, 10, 1, 1]])
WEIGHT = np.random.RandomState(1).normal(size=(4, 5, 7)).astype(np.float32)


def embedded(cls, dtype=tf.float32, scaled=False, **options):
    """Embeddings of IDS, and the gradient of a weighted sum of them and of their logits."""

    def build(mesh):
        batch, length = mtf.Dimension("batch", 4), mtf.Dimension("length", 5)
        vocab, model = mtf.Dimension("vocab", 11), mtf.Dimension("d_model", 7)
        types = mtf.VariableDType(activation_dtype=dtype)
        layer = cls(
            mesh,
            vocab,
            model,
            types,
            "embedding",
            None,
            scale_variable_like_classifier_weights=scaled,
        )
        y = layer.ids_to_embedding(constant(mesh, IDS, [batch, length]), context=None)
        assert y.shape == mtf.Shape([batch, length, model])
        logits = layer.hidden_to_logits(y, context=None)
        weight = mtf.cast(constant(mesh, WEIGHT, [batch, length, model]), dtype)
        loss = mtf.reduce_sum(y * weight) + mtf.reduce_sum(mtf.square(logits))
        return {"y": mtf.cast(y, tf.float32), "loss": mtf.cast(loss, tf.float32)}

    return run(build, gradients_of="loss", **options)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_equals_mesh(dtype, scaled):
    ours = embedded(GatheredEmbedding, dtype, scaled)
    theirs = embedded(transformer.VocabEmbedding, dtype, scaled)
    assert ours.keys() == theirs.keys()  # the same variable
    tolerance = 1e-5 if dtype == tf.float32 else 0.05
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=tolerance, atol=tolerance)


def test_two_devices_with_half_the_batch_each():
    alone = embedded(GatheredEmbedding)
    split = embedded(GatheredEmbedding, mesh_shape="all:2", layout="batch:all")
    for name in alone:
        np.testing.assert_allclose(split[name], alone[name], rtol=1e-5, atol=1e-5)


def test_a_split_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"the layout splits .*vocab"):
        embedded(GatheredEmbedding, mesh_shape="all:11", layout="vocab:all")
    # An axis of one device splits nothing.
    embedded(GatheredEmbedding, mesh_shape="all:1", layout="vocab:all")


def test_a_processor_looks_embeddings_up():
    request = Request(task="t", synthesizer="v", size="tiny")
    with session.configured(for_training(request), verbose=False):
        assert transformer.get_vocab_embedding_cls() is GatheredEmbedding
