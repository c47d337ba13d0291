"""Reports of results that the commands themselves have written."""

import contextlib
import io
import json
import shlex

import calls
import pytest
from report_files import collected, row, table
from small_runs import MODULES, SMALLEST

from mtf_synthesizer.cli import main
from mtf_synthesizer.data import prepare
from mtf_synthesizer.studies.compare import compare, plan
from mtf_synthesizer.studies.report import tables

pytestmark = pytest.mark.slow

SIZES = [p for p in SMALLEST if "length" not in p and "save" not in p]


@pytest.fixture(scope="module")
def really_run(tmp_path_factory):
    """A comparison, an evaluated model of a table, a cost and a benchmark, by their commands."""
    folder = tmp_path_factory.mktemp("run")
    text = "\n".join(f"{name}: line {i} of the play\n" for i in range(70) for name in ("A", "Bo"))
    (folder / "input.txt").write_text(text)
    data = str(folder / "tfds")
    prepare.run("tiny_shakespeare", folder, folder / "tfds", allow_partial=True)
    compare.compare(
        folder / "results" / "plays",
        plan.ComparisonPlan(
            experiment="tiny_shakespeare",
            rows=("r",),
            seeds=(5, 3),
            steps=2,
            tfds_data_dir=data,
            gin_params=(*SIZES, "save_checkpoints_steps = 1", "batch_size = 3"),
        ),
    )
    model = folder / "results" / "alone"
    calls.train(
        model,
        "synthesizer_test_pairs",
        synthesizer="r",
        size="tiny",
        run="finetune",
        steps=2,
        batch_size=3,
        gin_params=SMALLEST,
        modules=MODULES,
        seed=7,
        attention_summaries=False,
        show_progress=False,
    )
    calls.evaluate(model, "synthesizer_test_pairs", modules=MODULES, decode=False)
    return folder / "results"


@pytest.fixture(scope="module")
def printed(really_run, tmp_path_factory):
    """What cost and bench printed beside the results."""
    folder = tmp_path_factory.mktemp("printed")
    for name, command in {
        "cost": "cost --synthesizer r --size tiny --format json",
        "bench": "bench --rows t5,r --size tiny --steps 1 --no_memory --format json",
    }.items():
        (folder / f"{name}.json").write_text(_output(command))
    return folder


def _output(command):
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        assert main.main(shlex.split(command)) == 0
    return stream.getvalue()


def test_results_of_the_commands_are_recognised(really_run, printed):
    found = collected(really_run, printed)
    assert found.skipped == []
    assert (len(found.costs), len(found.benchmarks)) == (1, 1)
    runs = {(run.experiment, run.row, run.seed) for run in found.runs}
    assert runs == {
        *(("tiny_shakespeare", "r", seed) for seed in (3, 5)),
        (None, "r", 7),
    }
    assert {run.steps for run in found.runs} == {2}
    # Of a comparison's own models nothing comes twice, and each seed has its own value.
    summary = json.loads((really_run / "plays/results.json").read_text())
    values = summary["rows"]["r"]["metrics"]["perplexity"]["values"]  # seeds 3, 5
    ours = {
        run.seed: run.tasks[""]["perplexity"]
        for run in found.runs
        if run.row == "r" and run.experiment
    }
    assert ours == {3: values[0], 5: values[1]}


def test_the_report_of_what_was_run(really_run, printed):
    sections = tables.sections(collected(really_run, printed))
    small = table(sections, "tiny_shakespeare")
    cells = row(small, "R")
    assert cells["LM1B, perplexity, paper"] == "40.60"
    mean = json.loads((really_run / "plays/results.json").read_text())["rows"]["r"]["metrics"]
    ours = cells["perplexity, ours"]
    assert ours.startswith(f"{mean['perplexity']['mean']:.2f} ± ")
    assert "(seeds 3, 5; 2 steps" in ours
    (command,) = small.commands
    assert "--rows r --seeds 3,5" in command and "--steps 2" in command
    assert "--matmul_precision float32" in command
    alone = table(sections, "Other evaluations")
    assert alone.rows[0][1] == "r"
    assert "seed 7; 2 steps" in alone.rows[0][-1]
    assert "--seed 7" in alone.commands[0] and "--steps 2" in alone.commands[0]
    bench = table(sections, "Bench: train, size tiny")
    assert row(bench, "t5")["times as fast"] == "1.00"
    assert row(bench, "r")["times as fast, paper"] == "1.09"
    cost = table(sections, "Cost: r tiny")
    assert int(cost.rows[0][1].replace(",", "")) > 1000
