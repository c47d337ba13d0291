"""`submit` from the command line, its documentation, and the embedded benchmark."""

import pathlib
import re
import shlex
import zipfile

import full_predictions
import submission_checker
from command_line import run_all

from mtf_synthesizer.cli import main
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.inference import records
from mtf_synthesizer.submissions import leaderboards


def full(folder, benchmark, *tasks):
    """Files of full_predictions, one for each task."""
    for task in tasks or getattr(full_predictions, benchmark.upper()):
        records.write_lines(folder / f"{task}.jsonl", full_predictions.of(task))
    return folder


def test_submit_from_the_command_line(tmp_path, capsys):
    folder = full(tmp_path / "p", "super_glue")
    command = ["submit", "--benchmark", "super_glue", "--predictions", str(folder)]
    command += ["--output", str(tmp_path / "s.zip")]
    assert main.main(command) == 0
    assert "10 files" in capsys.readouterr().out
    assert submission_checker.problems("superglue", tmp_path / "s.zip") == []
    assert main.main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    first = (tmp_path / "s.zip").read_bytes()
    assert main.main([*command, "--overwrite"]) == 0
    assert (tmp_path / "s.zip").read_bytes() == first


def test_submit_answers_without_tensorflow(tmp_path):
    folder = full(tmp_path / "p", "glue", "glue_wnli_v002_simple_eval", "glue_rte_v002")
    submit = ["submit", "--benchmark", "glue", "--predictions", str(folder)]
    submit += ["--output", str(tmp_path / "s.zip")]
    done = run_all(
        {
            "partial": [*submit, "--partial"],
            "missing": [*submit, "--overwrite"],
            "invalid": [*submit, "--overwrite", "--partial", "--invalid", "entailed"],
            "benchmark": ["submit", "--benchmark", "gluee", *submit[3:]],
            "nothing": [*submit[:4], str(tmp_path), *submit[5:], "--overwrite"],
            "task": ["predict", "--model_dir", "x", "--task", "t", "--output", "o", "--tasks", "a"],
        }
    )
    assert not any(loaded for *_, loaded in done.values())
    assert [done[name][0] for name in done] == [0, 2, 2, 2, 2, 2]
    assert "left out: CoLA.tsv" in done["partial"][1]
    assert "AX.tsv: no predictions of glue_ax_v002" in done["missing"][2]
    assert "'entailed' is not an answer" in done["invalid"][2]
    assert "'gluee'. Did you mean 'glue'" in done["benchmark"][2]
    assert "no .jsonl file in" in done["nothing"][2]


def test_the_embedded_benchmark(tmp_path):
    """Counts come from the tasks themselves."""
    benchmark = leaderboards.find("embedded")
    rows = [
        {"task": task, "split": "test", "idx": idx, "output": "old"}
        for file in benchmark.files
        for task in file.tasks
        for idx in range(file.identities.count)
    ]
    records.write_lines(tmp_path / "p.jsonl", rows)
    command = ["submit", "--benchmark", "embedded", "--predictions", str(tmp_path / "p.jsonl")]
    command += ["--output", str(tmp_path / "s.zip"), "--invalid", "other"]
    assert main.main(command) == 0
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert len(archive.read("same_verse.tsv").splitlines()) > 100


DOCS = (pathlib.Path(__file__).resolve().parent.parent.parent / "docs/submissions.md").read_text(
    "utf-8"
)


def test_the_documented_files_are_the_submitted_ones():
    documented = re.findall(r"^\| `(\S+)` \| ([\d,]+) \| `(\w+)` \|", DOCS, re.MULTILINE)
    assert documented == [
        (file.name, f"{file.identities.count:,}", task)
        for name in ("glue", "superglue")
        for file, task in zip(
            leaderboards.find(name).files, leaderboards.find(name).tasks(), strict=True
        )
    ]


def test_the_documented_commands_are_known():
    commands = re.findall(r"^    mtf_synthesizer (.+)$", DOCS, re.MULTILINE)
    assert [parser().parse_args(shlex.split(each)).command for each in commands] == [
        "train",
        "predict",
        "submit",
    ]


def test_a_task_by_two_names_is_decoded_once():
    chosen = leaderboards.find("glue").tasks(["CoLA", "rte", "cola", "glue_cola_v002"])
    assert chosen == ["glue_cola_v002", "glue_rte_v002"]
