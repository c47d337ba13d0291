"""The demo's parts: resumable steps, claims, maps; and the whole of it at the smallest size."""

import json
import math
import re
import zipfile

import numpy as np
import pytest

from mtf_synthesizer.config.request import Request
from mtf_synthesizer.studies.demo import demo, findings, random_tables


def test_cross_entropy_of_unigrams():
    # Counts one higher: 3 of 7, 2 of 7, 1 of 7 and 1 of 7.
    expected = -(math.log(3 / 7) + math.log(1 / 7)) / 2
    assert findings.cross_entropy([0, 0, 1], [0, 3], 4) == pytest.approx(expected)


def test_standard_error():
    assert findings.standard_error(50, 100) == pytest.approx(5)


@pytest.mark.parametrize(("accuracy", "holds"), [(59.0, False), (61.0, True)])
def test_two_standard_errors_decide(accuracy, holds):
    """At 100 examples one standard error is 4.9 points: 50 is beaten from about 60 on."""
    scores = {findings.TESTAMENT: accuracy, findings.SAME_VERSE: 99.0}
    rows = [{"task": task, "metrics": {"accuracy": value}} for task, value in scores.items()]
    rows.append({"task": findings.MODERN_ENGLISH, "metrics": {"bleu": 20.0}})
    model = {
        "pretrain_evaluation": {"results": [{"loss": 4.0}]},
        "evaluation": {"results": rows},
    }
    baseline = {
        "unigram_entropy": 5.0,
        "majority": {findings.TESTAMENT: 50.0, findings.SAME_VERSE: 50.0},
        "examples": {findings.TESTAMENT: 100, findings.SAME_VERSE: 100},
        "copying": 26.0,
    }
    found = findings.of_models({"r": model}, baseline)["r"]
    assert [each["holds"] for each in found] == [True, holds, True, False]


def test_attention_of_a_table():
    table = np.log(np.array([[[1.0, 2, 5], [3, 1, 9], [7, 7, 7]]]))
    free = random_tables.attention_of(table, 2, causal=False)
    assert np.allclose(free, [[[1 / 3, 2 / 3], [3 / 4, 1 / 4]]])
    causal = random_tables.attention_of(table, 3, causal=True)
    assert np.allclose(causal, [[[1, 0, 0], [3 / 4, 1 / 4, 0], [1 / 3, 1 / 3, 1 / 3]]])


def test_total_variation():
    before = np.array([[[1.0, 0, 0], [0.5, 0.5, 0]]])
    after = np.array([[[0, 0, 1.0], [0.5, 0, 0.5]]])
    assert random_tables.total_variation(before, before) == 0
    assert random_tables.total_variation(before, after) == pytest.approx(0.75)


def test_maps_are_saved_whole(tmp_path):
    weights = {"encoder/block_000/layer_000/SyntheticAttention": np.ones([2, 3, 5])}
    random_tables.save(tmp_path / "maps.npz", weights)
    assert [path.name for path in tmp_path.iterdir()] == ["maps.npz"]
    (layer,) = random_tables.load(tmp_path / "maps.npz").items()
    assert layer[0] in weights
    assert layer[1].shape == (2, 3, 5)


def one_layer(*given, gin_params=(), **named):
    """A request of the demo, with one layer in each stack: most of the time goes into graphs."""
    return Request(*given, gin_params=[*gin_params, "num_layers = 1"], **named)


@pytest.mark.slow
def test_the_demo_from_end_to_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "Request", one_layer)
    settings = demo.Settings(
        size="tiny", pretrain_steps=2, finetune_steps=2, pretrain_rows=8, examples=8
    )
    results = demo.run_demo(tmp_path, settings)
    assert list(results["models"]) == ["v", "r", "rv"]
    written = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert json.loads(json.dumps(results)) == written
    moved = results["models"]["r"]["attention"]["movement"]
    assert len(moved) == 2
    assert all(0 < layer["total_variation"] < 1 for layer in moved.values())
    alphas = results["models"]["rv"]["attention"]["alphas"]
    assert np.allclose(np.sum(list(alphas.values()), -1), 1)
    with zipfile.ZipFile(tmp_path / "submission.zip") as archive:
        assert len(archive.read("modern_english.tsv").splitlines()) == 1 + 8
    page = (tmp_path / "index.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') == 6  # two curves, three maps, α
    # Self-contained: nothing is loaded from anywhere else.
    assert not re.search(r'(src|href)="(?!data:)', page)
    capsys.readouterr()
    again = demo.run_demo(tmp_path, settings)
    assert again["models"] == results["models"]
    assert "..." not in capsys.readouterr().out
