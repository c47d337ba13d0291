"""Names and shapes of variables are the checkpoint format; their sizes are the paper's Table 4."""

import json
import pathlib

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import D_KV, D_MODEL, HEADS, constant, layer_context
from mesh_tensorflow.transformer import utils
from variants import VARIANTS

from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.config import request
from mtf_synthesizer.upstream import session

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "variables.json"

# Trainable parameters of T5-base with the layers of the paper's Table 4, counted by running the
# public implementation; to a million they are the paper's own figures.
TABLE_4 = {
    "T5 base": ([], 222_903_552, 223),
    "R": (["synthesizers/r.gin"], 254_360_064, 254),
    "R+V": (["synthesizers/r_plus_v.gin"], 292_108_800, 292),
    "D": (["synthesizers/d.gin"], 224_475_648, 224),
    "D+V": (["synthesizers/d_plus_v.gin"], 243_350_016, 243),
    "FR": (["synthesizers/fr.gin"], 207_174_144, 207),
}


def variables_of(name):
    """Variables of one layer: name -> dimensions, and whether they are trained."""
    with tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        layer = SyntheticAttention(
            VARIANTS[name](),
            num_heads=HEADS,
            key_value_size=D_KV,
            relative_attention_type="bias",
        )
        x = constant(mesh, np.zeros((2, 7, D_MODEL), np.float32), ["batch", "length", "d_model"])
        layer.call(layer_context(mesh, 2, 7, False), x)
        trained = set(mesh.graph.trainable_variables)
        return {
            v.name: {
                "dimensions": {d.name: d.size for d in v.shape.dims},
                "trainable": v in trained,
            }
            for v in sorted(mesh.graph.all_variables, key=lambda v: v.name)
        }


def test_variables_are_those_of_the_golden_file():
    found = {name: variables_of(name) for name in VARIANTS}
    if found != json.loads(GOLDEN.read_text("utf-8")):
        pytest.fail(
            "variables changed, and with them the checkpoint format; if that is meant, "
            f"{GOLDEN.name} is now:\n{json.dumps(found, indent=1)}"
        )


@pytest.mark.parametrize("row", TABLE_4)
def test_parameters_of_table_4(row):
    files, exact, millions = TABLE_4[row]
    if files:
        files = [*files, "table4_layers.gin"]
    wanted = request.Configuration(("sizes/base.gin", *files), (), ())
    with session.configured(wanted, verbose=False), tf.Graph().as_default():
        mesh = mtf.Mesh(mtf.Graph(), "test")
        model = utils.build_model("bitransformer", 32_128, 32_128, layout_rules="", mesh_shape="")
        tokens = constant(mesh, np.ones((1, 8), np.int32), ["batch", "length"])
        model.call_simple(tokens, tokens, compute_loss=True)
        count = sum(v.shape.size for v in mesh.graph.trainable_variables)
    assert count == exact
    assert count // 1_000_000 == millions or round(count / 1e6) == millions
