"""One command of each kind for each experiment of `report`, run to its end at a tiny size.

`make check-commands` runs all of them, and those of the documentation.
"""

import json
import math

import pytest
from printed_commands import of_report
from small_commands import REPLACED, prepare_data, small

from mtf_synthesizer.cli import main
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.studies.report import commands

# Rows are short: most of the time goes into graphs, not into steps.
SHORT = ("inputs_length = 16", "targets_length = 16")


# Their gin files are those of German and of IMDB, with another task.
SAME = {"table2_wmt14_enfr": "table2_wmt14_ende", "table7_ag_news": "table7_imdb"}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """(command, experiment) -> the last such command, of one row and one seed."""
    found = {}
    for printed in of_report(tmp_path_factory.mktemp("nothing")):
        words = small(printed.words, rows=1, params=SHORT)
        experiment = getattr(printed.args, "experiment", None)
        if words and experiment not in SAME:
            found[words[0], experiment] = words
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("printed")
    prepare_data(found)
    return found


def test_the_others_include_the_experiment_that_is_run():
    for experiment, other in SAME.items():
        text = gin_files.find_gin_file(gin_files.gin_file("experiments", experiment)).read_text()
        assert f"include 'experiments/{other}.gin'" in text


@pytest.mark.slow
def test_every_kind_of_every_experiment(kinds, folder, monkeypatch):
    monkeypatch.chdir(folder)
    experiments = {experiment for command, experiment in kinds if command == "compare"}
    assert experiments | SAME.keys() == commands.SETTINGS.keys()
    for words in kinds.values():
        assert main.main(words) == 0, words
    for experiment in experiments:
        found = json.loads((folder / "runs" / experiment / "results.json").read_text())
        [row] = found["rows"].values()
        assert row["runs"] == 1
        assert row["metrics"]
        assert all(math.isfinite(metric["mean"]) for metric in row["metrics"].values())
    report = folder / "runs" / "base_plus" / f"eval_{REPLACED['table5_glue']}_validation.json"
    assert {row["step"] for row in json.loads(report.read_text())["results"]} == {4}
