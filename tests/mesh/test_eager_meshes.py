"""The graphs that users run compute what the other tests see, whose operations run eagerly."""

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from baseline_layers import layer as baseline
from harness import D_KV, assert_same_results, bitransformer, constant, run, weights_of
from variants import VARIANTS

from mtf_synthesizer.attention.layer import SyntheticAttention

TOKENS = np.array([[5, 3, 8, 2, 1, 0], [4, 4, 9, 7, 6, 1]])
HEADS = 4
SPLIT = ("batch:2;model:2", "batch:batch;heads:model")


def synthetic():
    return SyntheticAttention(
        VARIANTS["rdv"](), HEADS, key_value_size=D_KV, relative_attention_type="bias_shared"
    )


def convolution():
    return baseline("lightconv", num_heads=HEADS)


def loss_of(layer):
    def build(mesh):
        tokens = constant(mesh, TOKENS, ["batch", "length"])
        model = bitransformer(layer, heads=HEADS)
        return {"loss": model.call_simple(tokens, tokens, compute_loss=True)[1]}

    return build


def run_graph(build, weights, mesh_shape, layout):
    """What `harness.run` returns of a loss and its gradients, from a graph and a session."""
    with tf.Graph().as_default(), tf.Session() as session:
        graph = mtf.Graph()
        mesh = mtf.Mesh(graph, "test")
        outputs = build(mesh)
        variables = graph.trainable_variables
        gradients = mtf.gradients([outputs["loss"]], [v.outputs[0] for v in variables])
        named = zip(variables, gradients, strict=True)
        outputs |= {f"grad/{variable.name}": gradient for variable, gradient in named}
        shape = mtf.convert_to_shape(mesh_shape)
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl(
            shape, mtf.convert_to_layout_rules(layout), ["cpu:0"] * max(shape.size, 1)
        )
        lowering = mtf.Lowering(graph, {mesh: implementation})
        fetches = {name: lowering.export_to_tf_tensor(t) for name, t in outputs.items()}
        masters = [graph.name_to_variable[name].get_master() for name in weights]
        values = [np.reshape(w, m.shape) for w, m in zip(weights.values(), masters, strict=True)]
        drawn = dict(zip([m.initial_value for m in masters], values, strict=True))
        session.run([m.initializer for m in masters], drawn)
        session.run(lowering.copy_masters_to_slices())
        return session.run(fetches)


@pytest.mark.parametrize("mesh", [("", ""), SPLIT], ids=["one device", "four devices"])
@pytest.mark.parametrize("layer", [synthetic, convolution])
def test_a_graph_computes_the_same(layer, mesh):
    eager = run(loss_of(layer), None, *mesh, gradients_of="loss")
    weights = weights_of(eager)
    graph = run_graph(loss_of(layer), weights, *mesh)
    assert_same_results(graph, {k: v for k, v in eager.items() if not k.startswith("weight/")})
