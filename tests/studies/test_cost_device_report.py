"""`mtf_synthesizer cost --mesh_shape`: table, JSON, CSV, and answers to mistakes."""

import csv
import io
import json

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import commands, cost
from mtf_synthesizer.config import request
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.studies.cost.device import measure

SHORT = ["inputs_length = 16", "targets_length = 12", "num_layers = 1", "batch_size = 12"]
PARAMS = [option for param in SHORT for option in ("--gin_param", param)]
TINY = ["cost", "--synthesizer", "fix", "--size", "tiny", "--vocabulary_size", "130", *PARAMS]
MESH = ["--mesh_shape", "batch:3;model:2"]
LAYOUT = ["--layout", "batch:batch;heads:model;d_ff:model;experts:batch"]


def parsed(*options):
    return commands.parser().parse_args([*TINY, *options])


def printed(capsys, *options):
    cost.run(parsed(*options))
    return capsys.readouterr().out


def test_json_and_the_batch_of_the_configuration(capsys):
    (row,) = json.loads(printed(capsys, *MESH, *LAYOUT, "--format", "json"))["rows"]
    device = row["device"]
    assert (device["mesh_shape"], device["devices"]) == ("batch:3;model:2", 6)
    assert device["layout"] == LAYOUT[1]
    assert row["batch_size"] == device["batch_size"] == 12
    assert device["activation_dtype"] == "bfloat16"
    assert device["gradient_bytes"] == device["trained_parameters_bytes"] / 2
    # Two fixed tables [4 heads, 512, 512], float32, their heads in two halves.
    fixed = device["parameters_bytes"] - device["trained_parameters_bytes"]
    assert fixed == 2 * 4 * 512 * 512 * 4 / 2
    assert device["total_bytes"] >= sum(
        device[f"{what}_bytes"] for what in ("parameters", "optimizer", "activation")
    )
    assert device["communication_bytes"]["all_reduce"] == sum(
        each["bytes"] for each in device["communication"] if each["kind"] == "all_reduce"
    )
    assert device["estimates"] == ["activation_bytes", "total_bytes"]


def test_csv_has_the_device_on_the_line_of_the_total(capsys):
    lines = list(csv.DictReader(io.StringIO(printed(capsys, *MESH, *LAYOUT, "--format", "csv"))))
    total = lines[-1]
    assert total["component"] == "total"
    assert total["device_mesh_shape"] == "batch:3;model:2"
    assert int(total["device_total_bytes"]) > int(total["device_parameters_bytes"]) > 0
    assert int(total["device_all_reduce_bytes"]) > 0 == int(total["device_permute_bytes"])
    assert {line["device_total_bytes"] for line in lines[:-1]} == {""}


def test_table_and_the_layout_of_the_configuration(capsys):
    text = " ".join(printed(capsys, "--mesh_shape", "batch:2;model:2", "--batch_size", "4").split())
    above, below = text.split("each of 4 devices (batch:2;model:2; layout ensemble:ensemble;")
    assert "batch of 4 x 16 + 12 tokens" in above
    assert "training step of 4 rows" in below
    for line in ("parameters (float32)", "optimizer state", "activations (bfloat16)"):
        assert line in below
    assert "all reduce over model" in below
    assert "no tensor has the dimension experts" in below


@pytest.mark.parametrize(
    "options, words",
    [
        (["--layout", "batch:all"], "--layout batch:all: --mesh_shape is missing"),
        (["--mesh_shape", "batch=2"], "'batch=2' is not a pair"),
        (["--mesh_shape", "batch:2", "--layout", "heads:model"], "the mesh has no axis 'model'"),
    ],
)
def test_mistakes_that_need_no_tensorflow(options, words, monkeypatch):
    monkeypatch.setattr(loading, "load_tensorflow", lambda verbose: pytest.fail("loaded"))
    with pytest.raises(errors.UserError) as error:
        cost.run(parsed(*options))
    assert words in str(error.value)


def test_a_table_of_the_paper_has_no_mesh(monkeypatch):
    monkeypatch.setattr(loading, "load_tensorflow", lambda verbose: pytest.fail("loaded"))
    with pytest.raises(errors.UserError, match="--table 1: the table has its own configurations"):
        cost.run(commands.parser().parse_args(["cost", "--table", "1", *MESH]))


@pytest.mark.parametrize(
    "mesh_shape, layout, options, words",
    [
        ("batch:5", "batch:batch", [], "batch:batch splits 12 entries into 5 parts"),
        ("model:3", "heads:model", [], "heads:model splits 64 entries into 3 parts"),
        ("all:2", "batch:all;d_model:all", [], "batch and d_model, which can't both be split"),
        ("all:2", "batch:all;length:all", [], "may not map to the same Mesh Dimension"),
        ("all:2", "vocab:all", ["--gin_file", "local_cpu.gin"], "Remove vocab from the layout"),
        ("model:3", None, [], "utils.run.layout_rules ensemble:ensemble"),
    ],
    ids=["rows", "heads", "same axis", "length", "gathered words", "default"],
)
def test_layouts_that_do_not_fit_the_model(capsys, mesh_shape, layout, options, words):
    mesh = ["--mesh_shape", mesh_shape, *(["--layout", layout] if layout else [])]
    with pytest.raises(errors.UserError) as error:
        printed(capsys, *mesh, *options)
    assert words in str(error.value)
    assert "--layout" in str(error.value) or layout is None
    assert "\n" not in str(error.value)


def test_the_settings_of_a_processor_are_left_out():
    wanted = cost.configuration(parsed("--gin_file", "clip_gradients.gin"))
    assert wanted.files[-2:] == ("local_cpu.gin", "clip_gradients.gin")
    on_tpu = measure.as_on_tpu(wanted)
    assert "local_cpu.gin" not in on_tpu.files
    assert on_tpu.files[-2:] == ("bfloat16.gin", "clip_gradients.gin")
    assert on_tpu.params[-len(SHORT) :] == tuple(SHORT)
    own = request.Configuration(("local_cpu.gin", "local_cpu.gin"), (), ())
    assert measure.as_on_tpu(own).files == ("bfloat16.gin", "local_cpu.gin")
    assert measure.as_on_tpu(request.Configuration((), (), ())).files == ("bfloat16.gin",)
