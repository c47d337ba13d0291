"""The paper's tables with ours beside them, from files as the commands write them."""

import argparse
import dataclasses
import html
import re
import shlex

import checkpoint_files
import pytest
from report_files import collected, row, table, write

from mtf_synthesizer.cli import main, report
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.studies.report import formats, paper, tables
from mtf_synthesizer.studies.report.runs import Run
from mtf_synthesizer.studies.report.section import NONE, NOT_RUN


def test_nothing_was_run(tmp_path):
    sections = tables.sections(collected(tmp_path))
    assert [s.title.partition(":")[0] for s in sections] == [f"Table {n}" for n in range(2, 8)]
    for section in sections:
        for cells in (dict(zip(section.heads, r, strict=True)) for r in section.rows):
            ours = {cell for head, cell in cells.items() if head.endswith("ours")}
            assert ours == ({NONE} if cells["model"].endswith("(as reported)") else {NOT_RUN})
            assert {cell for head, cell in cells.items() if head.endswith("paper")} != {NONE}
        assert section.commands == []
        assert section.missing
    first = row(sections[0], "R+V")
    assert first["En-De, BLEU, paper"] == "28.47"
    assert first["parameters (LM1B), M, paper"] == "70"


# Task -> metrics, so that every average is a whole number.
GLUE = {
    "glue_cola_v002": {"matthews_corrcoef": 10.0},
    "glue_sst2_v002": {"accuracy": 20.0},
    "glue_mrpc_v002": {"f1": 31.0, "accuracy": 29.0},
    "glue_stsb_v002": {"pearson_corrcoef": 43.0, "spearman_corrcoef": 37.0},
    "glue_qqp_v002": {"f1": 57.0, "accuracy": 43.0},
    "glue_mnli_matched_v002": {"accuracy": 61.0},
    "glue_mnli_mismatched_v002": {"accuracy": 59.0},
    "glue_qnli_v002": {"accuracy": 70.0},
    "glue_rte_v002": {"accuracy": 80.0},
}


def evaluation(model_dir, tasks, step=9, split="validation", **changes):
    rows = [
        {"step": step, "task": task, "metrics": metrics, "limit": None} | changes
        for task, metrics in tasks.items()
    ]
    return {"model_dir": str(model_dir), "task": "some", "split": split, "results": rows}


def record(folder, **changes):
    asked = {"experiment": "table5_glue", "synthesizer": "r", "size": None, "seed": 0}
    write(folder / "run.json", asked | changes)


def test_glue_task_by_task(tmp_path):
    """Two seeds, one of them in a file a task; a third, of which a task is missing."""
    for seed, folder in enumerate(("a", "b", "c")):
        record(tmp_path / folder, seed=seed)
    write(tmp_path / "a/eval_all.json", evaluation(tmp_path / "a", GLUE))
    for name, metrics in GLUE.items():
        higher = {metric: value + 2 for metric, value in metrics.items()}
        write(tmp_path / f"b/eval_{name}.json", evaluation(tmp_path / "b", {name: higher}))
    part = {task: GLUE[task] for task in ("glue_cola_v002", "glue_mnli_matched_v002")}
    write(tmp_path / "c/eval.json", evaluation(tmp_path / "c", part, step=11))
    found = tables.sections(collected(tmp_path))
    section = table(found, "Table 5")
    cells = row(section, "R")
    assert cells["GLUE, ours"] == "46.0"  # of 45 and 47
    assert cells["GLUE, paper"] == "75.1"
    assert cells["CoLA, ours"] == "10.7"  # of 10, 12 and 10
    assert cells["MRPC, ours"] == "32.0/30.0"  # F1 / accuracy
    assert cells["MRPC, paper"] == "85.9/79.4"
    assert cells["MNLI, ours"] == "62.0/60.0"  # matched / mismatched
    assert cells["STS-B, paper"] == "74.0/74.3"
    assert "R: seeds 0, 1, 2; 9 to 11 steps" in section.notes
    assert row(table(found, "Table 6"), "R")["SuperGLUE, ours"] == NOT_RUN
    assert any(
        "--synthesizer r" in c and c.startswith("mtf_synthesizer train") for c in section.commands
    )
    assert row(section, "Transformer (V, T5's layer)")["CoLA, ours"] == NOT_RUN


def test_rows_of_a_run_that_was_set_back_do_not_count(tmp_path):
    """Steps 9 and 20 were evaluated, then training resumed from step 5 and ended at step 9."""
    record(tmp_path / "m")
    old = checkpoint_files.write(tmp_path / "m", 9).fingerprint
    write(tmp_path / "m/eval_1.json", evaluation(tmp_path / "m", GLUE, step=20, checkpoint="x"))
    write(tmp_path / "m/eval_2.json", evaluation(tmp_path / "m", GLUE, checkpoint=old))
    (run,) = collected(tmp_path).runs
    assert (run.steps, run.tasks) == (9, GLUE)
    write(tmp_path / "m/eval_3.json", evaluation(tmp_path / "m", GLUE, step=5, checkpoint="y"))
    checkpoint_files.write(tmp_path / "m", 9, b"trained again")
    (run,) = collected(tmp_path).runs
    assert run.steps == 5  # whose checkpoint was removed, not replaced
    (tmp_path / "m/eval_3.json").unlink()
    assert "its checkpoints were replaced since" in collected(tmp_path).skipped[0]


def test_rows_by_the_record_of_a_run(tmp_path):
    """A fine-tuned model has the layers of the one it began with; Base+ is a size."""
    record(tmp_path / "pre", experiment="table4_c4", synthesizer="r_plus_v")
    start = {"path": str(tmp_path / "pre/model.ckpt-5"), "step": 5, "fingerprint": "x"}
    record(tmp_path / "fine", synthesizer=None, init_checkpoint=start)
    record(tmp_path / "plus", synthesizer="t5", size="base_plus")
    record(tmp_path / "small", synthesizer="v", size="tiny")
    for name in ("fine", "plus", "small"):
        write(tmp_path / name / "eval.json", evaluation(tmp_path / name, GLUE))
    section = table(tables.sections(collected(tmp_path)), "Table 5")
    for name in ("R+V, plain sum", "T5 (Base+)", "v tiny"):
        assert row(section, name)["GLUE, ours"] == "45.0"
    assert row(section, "v tiny")["GLUE, paper"] == NONE
    assert row(section, "Transformer (V, T5's layer)")["GLUE, ours"] == NOT_RUN
    assert any("--steps 4 " in command for command in section.commands)  # from step 5 to 9


def test_the_commands_of_a_run_name_its_data(tmp_path):
    record(
        tmp_path / "m",
        experiment="c4_small",
        tfds_data_dir="my data",
        vocabulary="bytes",
        modules=["mtf_synthesizer.tasks", "mine"],
        additional_task_cache_dirs=["a", "b"],
        partial_init=True,
    )
    write(tmp_path / "m/eval.json", evaluation(tmp_path / "m", {"c4": {"perplexity": 3.25}}))
    (run,) = collected(tmp_path).runs
    for command in run.commands:
        args = parser().parse_args(shlex.split(command)[1:])
        assert args.tfds_data_dir == "my data"
        assert args.module_import == ["mine"]
    args = parser().parse_args(shlex.split(run.commands[0])[1:])
    assert (args.vocabulary, args.partial_init) == ("bytes", True)
    assert args.additional_task_cache_dirs == ["a", "b"]


def test_the_last_step_on_all_examples_of_the_right_split_counts(tmp_path):
    def translation(step, bleu, **changes):
        return evaluation(tmp_path / "m", {"wmt": {"bleu": bleu}}, step, **changes)["results"][0]

    record(tmp_path / "m", experiment="table2_wmt14_ende")
    rows = [translation(30, 3.0, limit=7), translation(10, 1.0), translation(20, 2.0)]
    document = evaluation(tmp_path / "m", {}, split="test") | {"results": rows}
    write(tmp_path / "m/eval_test.json", document)
    write(tmp_path / "m/eval_validation.json", evaluation(tmp_path / "m", {"wmt": {"bleu": 9.0}}))
    section = table(tables.sections(collected(tmp_path)), "Table 2")
    assert row(section, "R")["En-De, BLEU, ours"] == "2.00 (seed 0; 20 steps)"
    (tmp_path / "m/eval_test.json").unlink()
    section = table(tables.sections(collected(tmp_path)), "Table 2")
    assert row(section, "R")["En-De, BLEU, ours"] == "9.00 (seed 0; 9 steps; validation split)"
    write(tmp_path / "m/eval_test.json", document | {"results": rows[:1]})
    section = table(tables.sections(collected(tmp_path)), "Table 2")
    assert row(section, "R")["En-De, BLEU, ours"] == "3.00 (seed 0; 30 steps; first 7 examples)"


def test_only_the_results_of_a_comparison(tmp_path):
    """Copied without the folders beside it: no seeds and no steps."""
    metrics = {"bleu": {"mean": 27.0, "spread": 1.4, "values": [26.0, 28.0]}}
    rows = {"rv": {"metrics": metrics, "runs": 2, "undertrained": 1, "seconds": [1, 1]}}
    content = {"experiment": "table2_wmt14_enfr", "split": "test", "rows": rows}
    write(tmp_path / "copied.json", content)
    section = table(tables.sections(collected(tmp_path / "copied.json")), "Table 2")
    assert row(section, "R+V")["En-Fr, BLEU, ours"] == "27.00 ± 1.41 (2 runs; 1 still falling)"
    assert row(section, "R+V")["En-De, BLEU, ours"] == NOT_RUN


def test_costs_and_speed_of_table_4(tmp_path):
    numbers = {"parameters": 1, "forward_flops": 1}
    costs = [
        {"row": "t5", "trainable_parameters": 222_903_552, "relative_forward_flops": 1.0},
        {"row": "r", "trainable_parameters": 254_360_064, "relative_forward_flops": 0.9},
    ]
    title = "Table 4: T5-base"
    write(
        tmp_path / "cost.json",
        {"title": title, "rows": [numbers | cost for cost in costs], "notes": []},
    )
    bench = {
        "size": "t5-base",
        "machine": {"cores": 2},
        "flags": {"mode": "train"},
        "rows": [
            {"row": "t5", "cpu_ms": 300, "wall_ms": 200, "peak_rss_mib": 900, "base_rss_mib": 500},
            {"row": "r", "cpu_ms": 200, "wall_ms": 100, "peak_rss_mib": 800, "base_rss_mib": 600},
            {"row": "rv", "cpu_ms": 400, "unheard_of": {"deep": [1]}, "new": 3},
        ],
    }
    write(tmp_path / "bench.json", bench)
    write(tmp_path / "other.json", bench | {"size": "small"})
    sections = tables.sections(collected(tmp_path))
    section = table(sections, "Table 4")
    cells = row(section, "R")
    assert cells["parameters, M, paper"] == "254"
    assert cells["parameters, M, ours"] == "254.4"
    assert cells["forward FLOPs / V's, paper"] == "0.908"
    assert cells["forward FLOPs / V's, ours"] == "0.900"
    assert cells["steps/s / V's, paper"] == "1.09"
    assert cells["steps/s / V's, ours"] == "1.50"
    assert row(section, "R+V, plain sum")["steps/s / V's, ours"] == "0.75"
    assert row(section, "DyConv")["steps/s / V's, ours"] == NOT_RUN
    assert any("bench.json" in note for note in section.notes)
    bench = row(table(sections, "Bench: train, size small"), "r")
    assert bench["memory of a step / first's"] == "0.50"
    assert bench["new"] == NONE


def test_speed_of_encoders_of_table_7(tmp_path):
    bench = {
        "size": "imdb",
        "machine": {"cores": 2},
        "flags": {"mode": "train", "encoder_only": True},
        "rows": [{"row": "v", "cpu_ms": 300}, {"row": "fr", "cpu_ms": 200}],
    }
    write(tmp_path / "encoders.json", bench)
    section = table(tables.sections(collected(tmp_path)), "Table 7")
    cells = row(section, "FR")
    assert cells["steps/s / V's, paper"] == "1.01"
    assert cells["steps/s / V's, ours"] == "1.50"
    assert row(section, "Linformer")["steps/s / V's, ours"] == NOT_RUN
    assert any("bench --encoder_only" in command for command in section.missing)


def test_broken_files_are_named_and_others_ignored(tmp_path, capsys):
    write(tmp_path / "a/broken.json", '{"model_dir": ')
    write(tmp_path / "a/eval.json", {"model_dir": "m", "task": "t", "split": "s", "results": [3]})
    write(tmp_path / "a/list.json", [1, 2])
    write(tmp_path / "a/else.json", {"rows": 3, "title": "x", "notes": []})
    output = tmp_path / "report.md"
    assert main.main(["report", str(tmp_path / "a"), "--output", str(output)]) == 0
    errors = capsys.readouterr().err
    assert "warning: left out" in errors and "broken.json is not JSON" in errors
    assert "eval.json is not in the format of the command" in errors
    assert "list.json" not in errors and "else.json" not in errors
    assert "broken.json is not JSON" in output.read_text()


@pytest.mark.parametrize(
    ("folders", "output", "message"),
    [
        (["nowhere"], "report.md", "nowhere: no such file or folder"),
        (["."], "report.txt", r"'\.txt'"),
        (["."], ".", "kind of report"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, folders, output, message, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(["report", *folders, "--output", output]) == main.USER_ERROR
    assert re.search(message, capsys.readouterr().err)


def test_reports_are_the_same_every_time_and_escaped(tmp_path):
    record(tmp_path / "m", experiment=None, synthesizer=None)
    tasks = {"<b>|x": {"bleu": 1.0}}
    write(tmp_path / "m/eval.json", evaluation(tmp_path / "<i>m|", tasks))
    args = argparse.Namespace(
        folders=[str(tmp_path / "m")],
        output=[str(tmp_path / "r.md"), str(tmp_path / "r.html")],
        claims=True,
        typed="mtf_synthesizer report m",
    )
    report.run(args)
    first = [(tmp_path / name).read_bytes() for name in ("r.md", "r.html")]
    report.run(args)
    assert [(tmp_path / name).read_bytes() for name in ("r.md", "r.html")] == first
    page = first[1].decode()
    assert "&lt;b&gt;|x" in page and "<b>" not in page
    assert "The paper's statements" in html.unescape(page)
    assert not re.search(r"src=|href=\"[^#]", page)
    lines = first[0].decode().splitlines()
    (line,) = [line for line in lines if "| bleu | 1 |" in line]
    assert r"\<b\>\|x" in line
    # As many cells as heads, in every table.
    for number, line in enumerate(lines):
        if line.startswith("| ---"):
            count = len(re.findall(r"(?<!\\)\|", line))
            for other in (lines[number - 1], lines[number + 1]):
                assert len(re.findall(r"(?<!\\)\|", other)) == count


def test_a_run_that_is_of_no_table_is_shown_with_its_experiment(tmp_path):
    record(tmp_path / "m", experiment="c4_small", synthesizer="d")
    write(tmp_path / "m/eval.json", evaluation(tmp_path / "m", {"c4": {"perplexity": 3.25}}))
    found = collected(tmp_path)
    assert isinstance(found.runs[0], Run)
    section = table(tables.sections(found), "Other evaluations")
    assert section.rows == [
        ["c4_small", "d", "c4", "validation", "perplexity", "3.25", "seed 0; 9 steps"]
    ]
    title = formats.title(found.runs)
    assert title == "D in c4_small beside the paper's results"
    text = formats.markdown([section], [], "report", title)
    assert text.startswith("# D in c4\\_small beside")
    assert "| c4\\_small | d | c4 | validation | perplexity | 3.25 | seed 0; 9 steps |" in text
    assert "| --- | --- | --- | --- | --- | ---: | --- |" in text
    assert paper.LABELS["d"] == "D"


def test_seeds_of_an_experiment_without_a_table_are_one_row(tmp_path):
    for seed, score in ((0, 90.0), (1, 94.0), (2, 95.0)):
        folder = tmp_path / f"m{seed}"
        record(folder, experiment="synthetic_lookup", synthesizer="d", seed=seed)
        scores = {"lookup": {"exact_match": score}}
        write(folder / "eval.json", evaluation(folder, scores))
    (row,) = table(tables.sections(collected(tmp_path)), "Other evaluations").rows
    assert row[4:] == ["exact_match", "93 ± 2.6", "seeds 0, 1, 2; 9 steps"]


def test_a_title_names_experiments_if_they_are_few():
    run = Run("imdb_small", "v", 0, 9, "test", {"": {"accuracy": 80.0}}, None, None, ())
    runs = [dataclasses.replace(run, experiment=f"e{n}") for n in range(9)]
    assert formats.title(runs[:2]) == "Results of e0, e1 beside the paper's"
    assert formats.title(runs) == formats.title([]) == "Results beside the paper's"
