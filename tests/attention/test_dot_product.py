"""The dot product through our layer is T5's own layer: same variables, values and gradients."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import D_KV, HEADS, bitransformer, constant, run, unitransformer
from mesh_tensorflow.transformer import transformer_layers

from mtf_synthesizer.attention import layer

RNG = np.random.RandomState(0)
INPUTS = RNG.randint(1, 19, size=(3, 11))
TARGETS = RNG.randint(1, 19, size=(3, 7))
INPUTS[0, 7:] = 0
TARGETS[0, 5:] = 0
INPUT_IDS = np.array([[1] * 4 + [2] * 5 + [0] * 2, [1] * 11, [1] * 2 + [2] * 3 + [3] * 6])
TARGET_IDS = np.array([[1] * 3 + [2] * 3 + [0], [1] * 7, [1] * 2 + [2] * 2 + [3] * 3])


class SelfAttention(layer.SyntheticAttention):
    """Ours under the stock name, because the class name is part of variable names."""


OPTIONS = {
    "plain": {},
    "relative bias": {"relative_attention_type": "bias"},
    "shared relative bias": {"relative_attention_type": "bias_shared"},
    "contextual": {"relative_attention_type": "contextual"},
    "shared keys and values": {"shared_kv": True},
    "one head": {"num_heads": 1, "relative_attention_type": "bias_shared"},
    "multi-query": {"num_memory_heads": 1},
    "memory heads": {"num_heads": 6, "num_memory_heads": 3},
    "separate dimensions": {"combine_dims": False},
    "unfolded scaling": {"fold_scaling_into_initializer": False},
    "extra logit": {"extra_logit": 0.5},
}


def ours(**options):
    return SelfAttention(**{"num_heads": HEADS, "key_value_size": D_KV, **options})


def stock(extra_logit=None, **options):
    kwargs = {} if extra_logit is None else {"attention_kwargs": {"extra_logit": extra_logit}}
    return transformer_layers.SelfAttention(
        **{"num_heads": HEADS, "key_value_size": D_KV, **kwargs, **options}
    )


def loss_of(make_layer, packed, mode="eval", layers=1, feeds=True):
    def build(mesh):
        ids = {}
        if packed:
            ids["encoder_sequence_id"] = constant(mesh, INPUT_IDS, ["batch", "length"])
            ids["decoder_sequence_id"] = constant(mesh, TARGET_IDS, ["batch", "length"])
        tokens = [INPUTS, TARGETS]
        if packed:
            tokens = [
                np.where(ids_ > 0, np.maximum(t, 1), 0)
                for t, ids_ in zip(tokens, (INPUT_IDS, TARGET_IDS), strict=True)
            ]
        inputs, targets = (constant(mesh, t, ["batch", "length"]) for t in tokens)
        model = bitransformer(make_layer, layers, feeds=feeds)
        logits, loss = model.call_simple(inputs, targets, True, mode=mode, **ids)
        return {"loss": loss, "logits": logits}

    return build


def assert_same(a, b, skip=()):
    assert set(a) == set(b)
    for name in a:
        if name not in skip:
            # Mesh's softmax is an exponential of a logarithm, ours is TensorFlow's own.
            np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=5e-5, err_msg=name)


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_same_as_stock(options, packed):
    size = {
        "layers": 2 if options.get("relative_attention_type") == "bias_shared" else 1,
        "feeds": not options,  # which take a third of the graph, and no option changes them
    }
    a = run(loss_of(lambda: ours(**options), packed, **size), gradients_of="loss")
    b = run(loss_of(lambda: stock(**options), packed, **size), gradients_of="loss")
    assert_same(a, b)


@pytest.mark.slow
def test_same_dropout_as_stock(monkeypatch):
    """Given the same noise: one mask for each example, head and key."""

    def noise(mesh, shape, **kwargs):
        dims = mtf.Shape(sorted(shape.dims, key=lambda d: d.name))
        values = np.random.RandomState(shape.size).uniform(size=dims.to_integer_list)
        drawn = mtf.import_tf_tensor(mesh, tf.constant(values, kwargs["dtype"]), dims)
        return mtf.transpose(drawn, shape)

    monkeypatch.setattr(mtf.ops, "random_uniform", noise)
    options = {"dropout_rate": 0.3}
    a = run(loss_of(lambda: ours(**options), True, mode="train"), gradients_of="loss")
    b = run(loss_of(lambda: stock(**options), True, mode="train"), gradients_of="loss")
    assert_same(a, b)
    without = run(loss_of(lambda: ours(), True, mode="train"))
    assert abs(without["loss"] - a["loss"]) > 1e-3


@pytest.mark.parametrize("beam_size", [1, 3])
def test_same_decoding_as_stock(beam_size):
    def decode(make_layer):
        def build(mesh):
            inputs = constant(mesh, INPUTS, ["batch", "length"])
            model = bitransformer(make_layer)
            return {"ids": model.decode(inputs, beam_size=beam_size, max_decode_length=9)}

        return build

    options = {"relative_attention_type": "bias_shared"}
    a = run(decode(lambda: ours(**options)), scale=1.0)
    b = run(decode(lambda: stock(**options)), scale=1.0)
    assert_same(a, b)


def test_prefix_language_model_is_stock():
    tokens = np.array([[5, 6, 1, 7, 8, 9, 1, 0], [4, 4, 3, 1, 2, 9, 8, 1]])

    def lm(make_layer):
        def build(mesh):
            targets = constant(mesh, tokens, ["batch", "length"])
            inputs = mtf.shift(targets, 1, targets.shape.dims[-1], wrap=False)
            model = unitransformer([make_layer()], input_full_attention=True, name="lm")
            return {"loss": model.call_simple(inputs, targets, True)[1]}

        return build

    assert_same(run(lm(ours), gradients_of="loss"), run(lm(stock), gradients_of="loss"))


def test_subsequences_are_stock():
    subsequences = np.array([[1, 1, 2, 2, 3, 3, 0], [1] * 7, [1, 1, 1, 2, 2, 2, 2]])

    def build(make_layer):
        def inner(mesh):
            ids = {
                name: constant(mesh, value, ["batch", "length"])
                for name, value in (
                    ("encoder_sequence_id", INPUT_IDS),
                    ("decoder_sequence_id", np.minimum(subsequences, 1)),
                    ("decoder_subsequence_id", subsequences),
                )
            }
            inputs, targets = (
                constant(mesh, t, ["batch", "length"])
                for t in (np.maximum(INPUTS, 1), np.maximum(TARGETS, 1))
            )
            return {"loss": bitransformer(make_layer).call_simple(inputs, targets, True, **ids)[1]}

        return inner

    assert_same(run(build(ours), gradients_of="loss"), run(build(stock), gradients_of="loss"))


def test_recomputed_gradients():
    """Tensors shared between layers must not leak out of a recomputed one."""

    def build(recompute):
        def inner(mesh):
            targets = constant(mesh, TARGETS, ["batch", "length"])
            ids = constant(mesh, TARGET_IDS, ["batch", "length"])
            model = unitransformer(
                [ours(relative_attention_type="bias_shared") for _ in range(2)], name="lm"
            )
            model.layer_stack._recompute_grads = recompute
            loss = model.call_simple(targets, targets, True, sequence_id=ids)[1]
            return {"loss": loss}

        return inner

    assert_same(run(build(True), gradients_of="loss"), run(build(False), gradients_of="loss"))
