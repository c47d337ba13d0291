"""Decoded text depends on its own input, not on references or on other inputs of a batch."""

import json
import shutil

import mtf_synthesizer.runtime.compat

import calls
import gin
import pytest
from runner_tasks import PAIRS
from small_runs import MODULES, train

from mtf_synthesizer.inference import predict, text_lines
from mtf_synthesizer.model_folder import best
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG
from mtf_synthesizer.upstream import session
from mtf_synthesizer.upstream.model import Model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "lm"
    params = ["utils.run.model_type = 'delimited_lm'", "max_length = 20", "pack = False"]
    train(folder, synthesizer="r", size="tiny_lm", params=params, steps=1)
    return folder


@pytest.mark.parametrize("split", ["validation", "test"])  # the latter without references
def test_a_language_model_writes_as_far_as_it_can(language_model, tmp_path, monkeypatch, split):
    build, lengths = session.build, []

    def spy(model_dir, **given):
        lengths.append(given.get("sequence_length"))
        return build(model_dir, **given)

    monkeypatch.setattr(session, "build", spy)
    given = {"split": split, "modules": MODULES, "examples": 2}
    calls.predict(language_model, PAIRS, output=tmp_path / "out", **given)
    (tmp_path / "in").write_text("red 0\n")
    lines = text_lines.Lines(tmp_path / "in", "in")
    given = {"modules": MODULES, "show_progress": False}
    calls.predict_lines(language_model, lines, output=tmp_path / "lines", **given)
    assert lengths == [None, {"inputs": 13, "targets": 7}] * 2


def test_length_settings_tell_evaluations_apart(language_model):
    def evaluate(*params):
        given = {"modules": MODULES, "gin_params": params, "examples": 2}
        (row,) = calls.evaluate(language_model, PAIRS, **given)["results"]
        return row

    row = evaluate()
    assert (row["lengths"], row["decoding"]["length"]) == (None, 13 + 7)
    short = evaluate("targets_length = 3")
    assert short["lengths"] == {"inputs": 13, "targets": 3}
    assert short["tokens"] < row["tokens"]
    report = json.loads(best.report_path(language_model, PAIRS, "validation").read_text("utf-8"))
    assert report["results"] == [row, short]


@pytest.mark.parametrize(
    "bound, expected",
    [
        ({}, (31, 0.0, 31.0)),
        ({"max_decode_length": 5}, (5, 0.0, 5.0)),
        ({"decode_length_multiplier": 2.0}, (31, 2.0, None)),
    ],
)
def test_beams_do_not_depend_on_their_batch(bound, expected):
    """Mesh lets them be 1.5 times as long as the longest input of the batch, and 10 tokens."""
    fields = ("max_decode_length", "decode_length_multiplier", "decode_length_constant")
    gin.clear_config()
    for name, value in bound.items():
        gin.bind_parameter(f"Bitransformer.decode.{name}", value)
    lengths = {"inputs": 13, "targets": 31}
    try:
        predict.bind_output_length(Model(*[None] * 2, lengths, 1, *[None] * 2, "bitransformer"))
        found = gin.get_bindings("Bitransformer.decode")
    finally:
        gin.clear_config()
    assert tuple(found.get(name) for name in fields) == expected


def test_a_model_of_a_tpu_mesh_predicts_here(language_model, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(language_model, folder)
    config = folder / OPERATIVE_CONFIG
    lines = [line for line in config.read_text().splitlines() if "run.mesh_" not in line]
    lines += ["run.mesh_shape = @mesh_tensorflow.transformer.utils.tpu_mesh_shape()"]
    lines += ["tpu_mesh_shape.tpu_topology = '2x2'", "tpu_mesh_shape.model_parallelism = 2"]
    config.write_text("\n".join(lines))
    rows = [
        calls.evaluate(path, PAIRS, modules=MODULES, decode=False)["results"]
        for path in (language_model, folder)
    ]
    assert rows[0] == rows[1]
