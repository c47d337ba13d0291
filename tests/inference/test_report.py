"""What is kept, summed up and printed of evaluations."""

import json
import threading

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference.report import add, describe, merged, read, summed_up, versions
from mtf_synthesizer.model_folder.folder import ModelFolder

HEADER = {
    "model_dir": "runs/m",
    "task": "glue",
    "split": "validation",
    "vocabulary": {"kind": "bytes"},
    "versions": {"python": "3.11"},
}
PRINTS = {step: f"print {step}" for step in (10, 20, 30)}


def row(task, step, metrics, **changes):
    made = {"limit": None, "checkpoint": f"print {step}", "decoding": {"beam_size": 1}}
    return {"task": task, "step": step, "examples": 7, "metrics": metrics} | made | changes


def cola(step, value, **changes):
    return row("glue_cola_v002", step, {"matthews_corrcoef": value}, **changes)


def sst2(step, value, **changes):
    return row("glue_sst2_v002", step, {"accuracy": value}, **changes)


def report(*rows, **changes):
    return summed_up(HEADER | changes, rows)


def test_averages_are_of_rows_made_alike():
    made = report(
        cola(10, 20.0), sst2(10, 80.0), cola(20, 30.0), sst2(20, 90.0), sst2(20, 10.0, limit=3)
    )
    assert [(a["step"], a["limit"], a["value"]) for a in made["averages"]] == [
        (10, None, 50.0),
        (20, None, 60.0),
    ]
    assert made["averages"][0]["tasks"] == {"CoLA": 20.0, "SST-2": 80.0}


def test_the_best_step_of_each_task_and_of_their_average():
    made = report(
        *[cola(step, value) for step, value in ((10, 20.0), (20, 40.0), (30, 40.0))],
        *[sst2(step, value) for step, value in ((10, 95.0), (20, 70.0), (30, 60.0))],
        row("c4", 10, {"log_perplexity": 3.0}),
        row("c4", 20, {"log_perplexity": 2.0}),
        row("only_once", 10, {"accuracy": 3.0}),
        row("no_metrics", 10, {}),
        row("no_metrics", 20, {}),
    )
    assert made["best"] == [
        {"task": "glue_cola_v002", "metric": "matthews_corrcoef", "step": 20, "value": 40.0},
        {"task": "glue_sst2_v002", "metric": "accuracy", "step": 10, "value": 95.0},
        {"task": "c4", "metric": "log_perplexity", "step": 20, "value": 2.0},
        {"task": "GLUE", "metric": "average", "step": 10, "value": 57.5},
    ]


def test_the_direction_of_a_metric_is_not_guessed():
    made = report(row("t", 10, {"surprise": 3.0}), row("t", 20, {"surprise": 2.0}))
    assert made["best"] == [{"task": "t", "metric": "surprise"}]
    assert "best of t: unknown, because surprise may be better when it is lower" in describe(made)
    (best,) = report(row("t", 10, {"wer": 3.0}), row("t", 20, {"wer": 2.0}))["best"]
    assert best["step"] == 20


def test_what_is_no_number_is_never_the_best():
    values = ((10, float("nan")), (20, 30.0), (30, 40.0))
    (best,) = report(*[cola(step, value) for step, value in values])["best"]
    assert (best["step"], best["value"]) == (30, 40.0)
    losses = [row("c4", step, {"log_perplexity": value}) for step, value in values]
    assert [each["step"] for each in report(*losses)["best"]] == [20]


def test_rows_of_other_checkpoints_and_settings_are_kept():
    before = report(
        cola(20, 1.0),
        cola(10, 2.0),
        cola(20, 3.0, checkpoint="trained anew"),
        cola(20, 4.0, decoding={"beam_size": 4}),
        cola(20, 5.0, loss=0.1),
        sst2(20, 6.0),
    )
    made = merged(before, report(cola(20, 7.0)), PRINTS)
    values = [next(iter(each["metrics"].values())) for each in made["results"]]
    assert values == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert [each["step"] for each in made["results"]] == [10, 20, 20, 20, 20, 20]
    assert {"task": "glue_cola_v002", "metric": "matthews_corrcoef", "step": 20, "value": 7.0} in (
        made["best"]
    )
    assert [average["value"] for average in made["averages"]] == [6.5]
    assert merged(None, before, {}) == before | {"best": []}


def test_only_checkpoints_that_exist_can_be_the_best():
    """A run was set back to step 10 and trained again: step 20 is another, step 30 is gone."""
    before = report(cola(10, 20.0), cola(20, 90.0), cola(30, 80.0))
    now = {10: "print 10", 20: "trained again"}
    made = merged(before, report(cola(20, 30.0, checkpoint="trained again")), now)
    assert len(made["results"]) == 4
    assert [(each["step"], each["value"]) for each in made["best"]] == [(20, 30.0)]


def test_two_evaluations_at_once_keep_each_others_rows(tmp_path, monkeypatch):
    """The first reads the file, and is overtaken by the second before it writes."""
    folder = ModelFolder.at(tmp_path)
    for step in (10, 20):
        checkpoint_files.write(tmp_path, step)
    here = {"model_dir": str(folder)}
    second = threading.Thread(target=add, args=(report(cola(20, 2.0), **here), folder, None))
    written = saving.write_json

    def overtaken(path, value):
        monkeypatch.setattr(saving, "write_json", written)
        second.start()
        second.join(0.2)
        written(path, value)

    monkeypatch.setattr(saving, "write_json", overtaken)
    add(report(cola(10, 1.0), **here), folder, None)
    second.join()
    rows = json.loads((tmp_path / "eval_glue_validation.json").read_text())["results"]
    assert [each["step"] for each in rows] == [10, 20]
    assert not list(tmp_path.glob(".*"))


def test_kept_rows_say_what_they_were_made_with_where_that_differs():
    before = report(cola(10, 1.0), versions={"python": "3.12"})
    first, second = merged(before, report(cola(20, 2.0)), PRINTS)["results"]
    assert first["versions"] == {"python": "3.12"}
    assert "vocabulary" not in first
    assert "versions" not in second
    again = merged(merged(before, report(cola(20, 2.0)), PRINTS), report(cola(30, 3.0)), PRINTS)
    assert again["results"][0]["versions"] == {"python": "3.12"}


def test_kept_rows_say_their_precision_of_products():
    """Rows of earlier releases, which had no choice, were made in float32."""
    now = report(cola(20, 2.0), matmul_precision="bfloat16")
    first, second = merged(report(cola(10, 1.0)), now, PRINTS)["results"]
    assert first["matmul_precision"] == "float32"
    assert "matmul_precision" not in second


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"not a report of an evaluation \(JSONDecodeError"),
        ("[1]", "not a report of an evaluation"),
        ('{"task": "glue", "split": "validation"}', "not a report of an evaluation"),
        (json.dumps(HEADER | {"results": 3}), r"not a report of an evaluation \(TypeError"),
        (json.dumps(HEADER | {"results": [{"task": "t", "metrics": {}}]}), "KeyError: 'step'"),
        (json.dumps(HEADER | {"results": [cola("20", 1.0)]}), "must be rows with task, step and"),
        (json.dumps(HEADER | {"results": [], "task": "cola"}), "task cola, not glue"),
        (json.dumps(HEADER | {"results": [], "model_dir": "m2"}), "model_dir m2, not runs/m"),
    ],
)
def test_other_files_are_not_overwritten(tmp_path, content, message):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(errors.UserError, match=message) as error:
        read(path, "glue", "validation", "runs/m")
    assert "--output" in str(error.value)
    assert path.read_text() == content


def test_a_report_in_the_folder_of_its_model_may_have_moved(tmp_path):
    path = tmp_path / "report.json"
    assert read(path, "glue", "validation", None) is None
    path.write_text(json.dumps(report(cola(10, 1.0), model_dir="elsewhere")))
    found = read(path, "glue", "validation", None)
    assert found["model_dir"] == "elsewhere"


def test_versions_are_of_what_is_installed():
    found = versions()
    assert found["t5"] == "0.9.4"
    assert all(found.values())


def test_text_for_a_terminal():
    notes = ["METEOR needs a Java runtime"]
    made = report(
        cola(10, 5e-20, loss=1.25),
        sst2(10, 80.0, notes=notes, signatures={"bleu": "nrefs:1"}),
        sst2(20, 80.5, notes=notes, signatures={"bleu": "nrefs:1"}),
        left_out={"glue_ax_v002": "glue_ax_v002 has no validation split"},
    )
    assert describe(made).splitlines() == [
        "    step  task           examples  metrics",
        "      10  glue_cola_v002        7  matthews_corrcoef 0  loss 1.25",
        "      10  glue_sst2_v002        7  accuracy 80",
        "      20  glue_sst2_v002        7  accuracy 80.5",
        "best of glue_sst2_v002: step 20, accuracy 80.5",
        "bleu: nrefs:1",
        "note: glue_sst2_v002: METEOR needs a Java runtime",
        "left out: glue_ax_v002 has no validation split",
    ]
    averaged = report(cola(10, 20.0), sst2(10, 80.0))
    assert describe(averaged).splitlines()[-1] == (
        "      10  GLUE average 50.00 of CoLA, SST-2; missing: MRPC, STS-B, QQP, MNLI, QNLI, RTE, "
        "WNLI"
    )
