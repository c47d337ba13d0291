"""Model folders of release 0.1 load, resume, evaluate and predict, by their old gin files.

The folders were written before the modules had their places of today: their configurations import
`mtf_synthesizer.clipping` and others that are resolved by the hook in the package's `__init__`.
"""

import json
import pathlib
import shutil
import subprocess
import sys

import mtf_synthesizer.runtime.compat

import first_house_tasks
import gin
import pytest
from calls import evaluate, predict, train

import mtf_synthesizer.upstream.old_selectors
from mtf_synthesizer.config.old_selectors import ALIASES

pytestmark = pytest.mark.slow

FOLDERS = pathlib.Path(__file__).resolve().parent.parent / "golden" / "first_house"
EXPECTED = json.loads((FOLDERS / "expected.json").read_text("utf-8"))
MODULES = ("mtf_synthesizer.tasks", "runner_tasks", first_house_tasks.__name__)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Copies, since a folder that is read may be written to."""
    return pathlib.Path(shutil.copytree(FOLDERS, tmp_path_factory.mktemp("first") / "house"))


@pytest.mark.parametrize("name", EXPECTED)
def test_evaluates(folders, name):
    task = EXPECTED[name]["task"]
    given = {"examples": 4, "modules": MODULES, "decode": False}  # as the next test does
    (row,) = evaluate(folders / name, task, **given)["results"]
    assert row["loss"] == pytest.approx(EXPECTED[name]["loss"], rel=1e-5)


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name]["outputs"]])
def test_predicts(folders, tmp_path, name):
    output = tmp_path / "predictions.jsonl"
    task = EXPECTED[name]["task"]
    predict(folders / name, task, split="validation", examples=4, output=output, modules=MODULES)
    lines = output.read_text("utf-8").splitlines()
    assert [json.loads(line)["output"] for line in lines] == EXPECTED[name]["outputs"]


@pytest.mark.parametrize("name", EXPECTED)
def test_resumes_with_the_steps_that_release_0_1_took(folders, name):
    record = json.loads((FOLDERS / name / "run.json").read_text("utf-8"))
    result = train(
        shutil.copytree(folders / name, folders / f"{name}_resumed"),
        record["task"],
        synthesizer=record["synthesizer"],
        size=record["size"],
        run=record["run"],
        gin_params=record["gin_params"],
        steps=4,
        modules=MODULES,
        attention_summaries=False,
        show_progress=False,
    )
    assert [row["step"] for row in result["losses"]] == [1, 2, 3, 4]
    assert result["loss"] == pytest.approx(EXPECTED[name]["resumed_loss"], rel=1e-4)


def test_old_names_resolve_without_this_package_parsing_the_file():
    """T5's own script parses a saved configuration by gin alone."""
    code = """
import mtf_synthesizer.runtime.compat
import gin
import mesh_tensorflow.transformer.transformer_layers
import t5.models.mesh_transformer
gin.add_config_file_search_path({folder!r})
gin.parse_config_file("operative_config.gin")
gin.parse_config("mtf_synthesizer.embedding.GatheredEmbedding.name = 'x'", skip_unknown=False)
gin.parse_config("synthesizers.Dense.max_length = 7")
assert gin.query_parameter("Dense.max_length") == 7
import mtf_synthesizer.clipping, mtf_synthesizer.mesh.clipping
assert mtf_synthesizer.clipping is mtf_synthesizer.mesh.clipping
assert mtf_synthesizer.mesh.clipping.__spec__.name == "mtf_synthesizer.mesh.clipping"
"""
    subprocess.run([sys.executable, "-c", code.format(folder=str(FOLDERS / "r"))], check=True)


def test_every_alias_names_a_configurable():
    mtf_synthesizer.upstream.old_selectors.register()
    for old, new in ALIASES.items():
        assert gin.get_configurable(old) is gin.get_configurable(new)
