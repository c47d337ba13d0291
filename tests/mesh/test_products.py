"""Products by bfloat16 operands: which, how exactly, and float32 where nothing asks for them."""

import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from harness import constant, run

from mtf_synthesizer.mesh import products
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.upstream import products as upstream


@pytest.fixture
def casts(monkeypatch):
    """A process that multiplies in bfloat16 on a processor without AMX."""
    upstream.install()
    monkeypatch.setattr(precision, "needs_casts", lambda: True)


def multiplied(size=211, product=None, layout=""):
    """[size, size] by [size, size] with whole numbers in the first, and gradients."""
    names = ["rows", "inner", "columns"]
    rows, inner, columns = (mtf.Dimension(name, size) for name in names)
    draw = np.random.RandomState(0)
    weights = {
        "x": draw.randint(-2, 3, size=[size, size]).astype(np.float32),
        "y": draw.normal(size=[size, size]).astype(np.float32),
    }

    def build(mesh):
        x = mtf.get_variable(mesh, "x", mtf.Shape([rows, inner]))
        y = mtf.get_variable(mesh, "y", mtf.Shape([inner, columns]))
        shape = mtf.Shape([rows, columns])
        z = product([x, y], shape).outputs[0] if product else mtf.einsum([x, y], shape)
        return {"z": z, "loss": mtf.reduce_sum(z * constant(mesh, weights["y"], shape.dims))}

    return run(build, weights, gradients_of="loss"), weights


def as_bfloat16(x):
    """x rounded to bfloat16, by hand: 8 of 24 bits of the significand, half to even."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)


@pytest.mark.skipif(
    not precision.instructions(), reason="this processor sums bfloat16 products in bfloat16"
)
def test_large_products_are_rounded(casts):
    found, weights = multiplied(size=307)
    x, y = weights["x"], as_bfloat16(weights["y"])
    # One unit in the last place of bfloat16: sums in float32 may fall on either side of a half.
    for name, exact in {"z": x @ y, "grad/x": y @ y.T, "grad/y": x.T @ y}.items():
        assert (as_bfloat16(found[name]) == found[name]).all(), name
        np.testing.assert_allclose(found[name], exact, rtol=2**-7, atol=1e-3, err_msg=name)


def test_small_products_are_exact(casts):
    found, weights = multiplied(size=89)
    np.testing.assert_allclose(found["z"], weights["x"] @ weights["y"], rtol=1e-5, atol=1e-4)


def test_results_that_must_be_exact(casts):
    found, weights = multiplied(size=307, product=products.Float32Product)
    exact = weights["x"] @ weights["y"]
    np.testing.assert_allclose(found["z"], exact, rtol=1e-5, atol=1e-4)
    assert (as_bfloat16(found["grad/x"]) == found["grad/x"]).all()


def test_float32_processes_are_as_before():
    upstream.install()
    found, weights = multiplied(size=307)
    exact = weights["x"] @ weights["y"]
    np.testing.assert_allclose(found["z"], exact, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "equation", ["ab,bc->ac", "dab,bc->dac", "ab,bcd->acd", "a,ab->b", "ab,cb->ac", "ab,bc->ca"]
)
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_products_of_few_rows_are_those_of_many(equation, rows):
    """Also where the letters are in another order, which a matrix product would transpose."""
    sizes = {"a": rows, "b": 5, "c": 7, "d": 2}
    draw = np.random.RandomState(0)
    inputs = [
        draw.normal(size=[sizes[d] for d in part]).astype(np.float32)
        for part in equation.partition("->")[0].split(",")
    ]
    found = products.einsum(equation, *(tf.constant(x) for x in inputs))
    found = found.numpy() if tf.executing_eagerly() else tf.Session().run(found)
    np.testing.assert_allclose(found, np.einsum(equation, *inputs), atol=1e-5)


STACKS = {
    "one row": ("b h c", "b h n c", "b h n"),
    "one row, another order": ("c h b", "b h n c", "n h b"),
    "to be summed first": ("b h c", "b h c n", "b h n"),
    "beams": ("b w h c", "b h n c", "h b w n"),
    "one head of matrices": ("b h c", "b n c", "b h n"),
    "weights that examples share": ("h c", "b h c n", "b h n"),
}


@pytest.mark.parametrize("layout", ["", "b:devices", "h:devices", "c:devices"])
@pytest.mark.parametrize("name", STACKS)
def test_stacked_products_are_those_of_mesh(name, layout):
    sizes = {"b": 2, "h": 4, "c": 6, "n": 5, "w": 3}
    draw = np.random.RandomState(0)
    rows, matrices, output = (part.split() for part in STACKS[name])
    values = [draw.normal(size=[sizes[d] for d in dims]) for dims in (rows, matrices)]
    values = [value.astype(np.float32) for value in values]
    equation = "".join(rows) + "," + "".join(matrices) + "->" + "".join(output)

    def build(mesh):
        x, y = (constant(mesh, v, d) for v, d in zip(values, (rows, matrices), strict=True))
        shape = mtf.Shape([mtf.Dimension(d, sizes[d]) for d in output])
        return {"product": products.stacked(x, y, shape)}

    found = run(build, mesh_shape="devices:2" if layout else "", layout=layout)["product"]
    np.testing.assert_allclose(found, np.einsum(equation, *values), atol=1e-5)


def test_graphics_processors_are_left_alone():
    def on(device):
        shape = mtf.Shape([mtf.Dimension("all", 1)])
        rules = mtf.convert_to_layout_rules("")
        return mtf.placement_mesh_impl.PlacementMeshImpl(shape, rules, [device])

    assert products.on_processors(on("cpu:0")) and not products.on_processors(on("gpu:0"))
