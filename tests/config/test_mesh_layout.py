"""Meshes and layouts in T5's syntax, and what can't be one."""

import pytest

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.studies.cost.device.layout import parse


def test_parsed():
    plan = parse("batch:4;model:2", "batch:batch, heads:model d_ff:model.")
    assert plan.axes == (("batch", 4), ("model", 2))
    assert plan.rules == (("batch", "batch"), ("heads", "model"), ("d_ff", "model"))
    assert plan.devices == 8
    assert parse(plan.shape_text, plan.rules_text) == plan


def test_one_axis_and_no_layout():
    assert parse("all:8", "").devices == 8
    assert parse("", "").devices == 1


def test_default_layout_may_have_other_axes():
    default = "ensemble:ensemble,batch:batch"
    assert parse("batch:3", None, default).rules == (
        ("ensemble", "ensemble"),
        ("batch", "batch"),
    )
    with pytest.raises(UserError, match="no axis 'ensemble'"):
        parse("batch:3", default)


@pytest.mark.parametrize(
    "shape, layout, words",
    [
        ("batch", "", ["--mesh_shape 'batch'", "batch:4;model:2"]),
        ("batch:2:3", "", ["'batch:2:3' is not a pair"]),
        ("batch:", "", ["--mesh_shape", "not a pair"]),
        ("batch:two", "", ["'two' is not a number of devices"]),
        ("batch:0", "", ["'0' is not a number of devices", "from 1"]),
        ("batch:-2", "", ["'-2' is not a number"]),
        ("a:2;b:3;a:5", "", ["'a' occurs 2 times"]),
        ("batch:2", "heads", ["--layout 'heads'", "batch:batch;heads:model"]),
        ("batch:2;model:3", "heads:modell", ["'modell'. Did you mean 'model'?", "batch, model"]),
        ("batch:2;model:3", "heads:model;heads:batch", ["'heads' occurs 2 times", "one axis"]),
    ],
)
def test_mistakes(shape, layout, words):
    with pytest.raises(UserError) as error:
        parse(shape, layout)
    for word in words:
        assert word in str(error.value)


def test_tensors():
    plan = parse("x:2;y:3", "rows:x;heads:y;d_ff:y")
    plan.check_tensor([("rows", 4), ("heads", 9), ("other", 7)])
    plan.check_tensor([("other", 7)])
    with pytest.raises(UserError, match=r"rows:x splits 5 entries into 2 parts.*divides 5"):
        plan.check_tensor([("other", 7), ("rows", 5)])
    with pytest.raises(UserError, match="heads and d_ff, which can't both be split over 'y'"):
        plan.check_tensor([("heads", 3), ("rows", 2), ("d_ff", 6)])


def test_rules_without_use():
    plan = parse("x:2", None, "rows:x;head:x;experts:z")
    assert plan.unused_rules(["rows", "heads"]) == ["head"]
