"""What Mesh can do around a layer: microbatches, recomputation, layouts, positions, prefixes."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
from harness import D_KV, assert_same_results, bitransformer, constant, run, unitransformer
from variants import DISTINCT, VARIANTS

from mtf_synthesizer.attention.layer import SyntheticAttention

RNG = np.random.RandomState(0)
INPUTS = RNG.randint(1, 19, size=(4, 8))
TARGETS = RNG.randint(1, 19, size=(4, 8))
INPUTS[0, 5:] = 0
IDS = np.array([[1] * 3 + [2] * 5, [1] * 8, [1] * 2 + [2] * 4 + [0] * 2, [1] * 4 + [2] * 4])
NAMES = ("r", "fr", "d", "rdv")


def attention(name):
    return SyntheticAttention(
        VARIANTS[name](), num_heads=2, key_value_size=D_KV, relative_attention_type="bias_shared"
    )


def encoder_decoder(name, packed):
    """Features, and a loss of them."""

    def features(mesh):
        arrays = {"inputs": INPUTS, "targets": TARGETS}
        if packed:
            arrays |= {"encoder_sequence_id": IDS, "decoder_sequence_id": IDS}
        return {k: constant(mesh, v, ["batch", "length"]) for k, v in arrays.items()}

    def loss(given, recompute=False, microbatches=1):
        model = bitransformer(lambda: attention(name), layers=2, heads=2)
        for stack in (model.encoder, model.decoder):
            stack.layer_stack._recompute_grads = recompute
        ids = {k: v for k, v in given.items() if k.endswith("_id")}
        inputs, targets = given["inputs"], given["targets"]
        return model.call_simple(inputs, targets, True, num_microbatches=microbatches, **ids)[1]

    return features, loss


@pytest.fixture(scope="module")
def plain():
    results = {}

    def result(name, packed):
        if (name, packed) not in results:
            features, loss = encoder_decoder(name, packed)
            results[name, packed] = run(lambda m: {"loss": loss(features(m))}, gradients_of="loss")
        return results[name, packed]

    return result


@pytest.mark.parametrize(("name", "packed"), [("r", False), ("rdv", True), ("d", True)])
def test_recomputed_layers(plain, name, packed):
    features, loss = encoder_decoder(name, packed)
    again = run(lambda m: {"loss": loss(features(m), recompute=True)}, gradients_of="loss")
    assert_same_results(again, plain(name, packed))


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("name", NAMES)
def test_microbatches(plain, name, packed):
    """Inside Mesh's loop too, rows are known to be packed or not."""
    features, loss = encoder_decoder(name, packed)

    def build(mesh):
        grads, outputs = mtf.serialize_training_step(
            features(mesh),
            lambda given: {"loss": loss(given, microbatches=2)},
            mtf.Dimension("batch", 4),
            2,
        )
        named = {
            f"grad/{v.name}": g for v, g in zip(mesh.graph.trainable_variables, grads, strict=True)
        }
        return {"loss": outputs["loss"], **named}

    assert_same_results(run(build), plain(name, packed))


@pytest.mark.parametrize(
    ("mesh_shape", "layout", "packed"),
    [("a:2;b:2", "batch:a;heads:b", True), ("all:2", "length:all", False)],
)
@pytest.mark.parametrize("name", NAMES)
def test_layouts(plain, name, mesh_shape, layout, packed):
    features, loss = encoder_decoder(name, packed)
    split = run(
        lambda m: {"loss": loss(features(m))},
        gradients_of="loss",
        mesh_shape=mesh_shape,
        layout=layout,
    )
    assert_same_results(split, plain(name, packed))


@pytest.mark.parametrize("name", DISTINCT)
def test_prefix_language_model_packed_is_alone(name):
    """With learned positions, which make Mesh keep the positions of packed rows."""
    sequences = ([5, 6, 1, 7, 8, 1], [4, 4, 3, 1, 2, 1])

    def losses(rows, ids, positions):
        def build(mesh):
            model = unitransformer([attention(name), attention(name)], name="lm")
            model.input_full_attention = model.positional_embedding = True
            model.max_length_dim = mtf.Dimension("max_length", 16)
            targets, sequence_id, position = (
                constant(mesh, value, ["batch", "length"]) for value in (rows, ids, positions)
            )
            inputs = mtf.transformer.transformer.autoregressive_inputs(targets, sequence_id)
            _, loss = model.call_simple(
                inputs, targets, True, sequence_id=sequence_id, position=position
            )
            return {"loss": loss}

        return run(build)["loss"]

    place = [*range(6)]
    together = losses([sequences[0] + sequences[1]], [[1] * 6 + [2] * 6], [place + place])
    apart = [losses([s], [[1] * 6], [place]) for s in sequences]
    np.testing.assert_allclose(together, np.mean(apart), rtol=1e-4)
