"""Records, reports, predictions and gin texts that are damaged in any way: used, or refused."""

import contextlib
import dataclasses
import json
import re

import pytest
from faults import contents
from fuzzing import damaged
from hypothesis import given
from hypothesis import strategies as st

from mtf_synthesizer import errors
from mtf_synthesizer.config import request, statements
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.inference import report
from mtf_synthesizer.model_folder import best, kept_best, loss_log, own_data, vocabulary
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies import steps
from mtf_synthesizer.studies.cost.device.layout import parse
from mtf_synthesizer.studies.report import files, formats, tables
from mtf_synthesizer.submissions import archive, prediction_files
from mtf_synthesizer.submissions.glue import GLUE
from mtf_synthesizer.submissions.layout import Benchmark
from mtf_synthesizer.training import run_record

REQUEST = request.Request(task="t", synthesizer="rv", size="tiny", gin_params=("a = 3",))
VOCABULARY = {"kind": "sentencepiece", "size": 384, "sentinels": 100, "file": "x", "sha256": "1"}
VOCABULARIES = {
    "package_version": "1",
    "chosen": "inputs",
    "inputs": VOCABULARY,
    "targets": VOCABULARY,
}
ROW = {
    "task": "glue_cola_v002",
    "step": 3,
    "checkpoint": "abc",
    "examples": 5,
    "limit": None,
    "metrics": {"matthews_corrcoef": 12.5, "accuracy": 50.0},
    "loss": 1.5,
    "decoding": {"beam_size": 1},
}
EVALUATION = {
    "model_dir": "runs/m",
    "task": "glue_cola_v002",
    "split": "validation",
    "versions": {"python": "3.11"},
    "vocabulary": VOCABULARY,
    "results": [ROW, ROW | {"step": 5}],
    "averages": [],
    "best": [{"task": "glue_cola_v002", "metric": "accuracy", "step": 3, "value": 50.0}],
}
RUN = {
    "package_version": "1",
    "task": "t",
    "synthesizer": "rv",
    "size": "tiny",
    "run": "pretrain",
    "experiment": None,
    "batch_size": None,
    "gin_files": [],
    "gin_file_sha256": [],
    "gin_params": ["a = 3"],
    "seed": 3,
    "init_checkpoint": {"path": "start/model.ckpt-7", "step": 7, "fingerprint": "0123"},
}
METRICS = {"perplexity": {"mean": 2.0, "spread": 0.1, "values": [1.9, 2.1]}}
COMPARISON = {
    "experiment": "tiny_shakespeare",
    "split": "test",
    "rows": {"r": {"metrics": METRICS, "runs": 2, "undertrained": 1, "seconds": [3, 4]}},
}
COST = {
    "title": "Table 4",
    "notes": ["a note"],
    "rows": [{"row": "t5", "trainable_parameters": 5, "relative_forward_flops": 1.0}],
}
BENCHMARK = {
    "size": "t5-base",
    "machine": {"cores": 2},
    "flags": {"mode": "train", "packed": 0},
    "rows": [
        {"row": "t5", "cpu_ms": 5.0, "peak_rss_mib": 9.0, "base_rss_mib": 3.0},
        {"row": "r", "cpu_ms": 4.0},
    ],
}


def encoded(value):
    return json.dumps(value).encode()


@pytest.fixture
def folder(tmp_path):
    """A folder of a model with two checkpoints, as the readers of records look for them."""
    import checkpoint_files

    for step in (3, 5):
        checkpoint_files.write(tmp_path, step)
    return tmp_path


def survives(folder, name, content, read):
    """Reads a file that is damaged in any way; nothing but a UserError may come of it."""
    path = folder / name

    @given(damaged(content))
    def accidents(damage):
        path.write_bytes(damage)
        with contextlib.suppress(errors.UserError):
            read(folder)
        path.unlink(missing_ok=True)

    accidents()


def test_the_record_of_a_run(folder):
    def read(folder):
        for start in (None, "start", str(folder)):
            with contextlib.suppress(errors.UserError):
                run_record.resumed(
                    ModelFolder(folder), dataclasses.replace(REQUEST, init_checkpoint=start)
                )

    survives(folder, "run.json", encoded(RUN), read)


def test_the_record_of_a_vocabulary(folder):
    def read(folder):
        chosen = vocabulary.chosen(folder)
        assert chosen is None or isinstance(chosen, str)
        used = dict.fromkeys(vocabulary.FEATURES, VOCABULARY)
        vocabulary.check(folder, used)

    survives(folder, "vocabulary.json", encoded(VOCABULARIES), read)


def test_a_report_of_an_evaluation(folder):
    path = best.report_path(folder, EVALUATION["task"], EVALUATION["split"])

    def read(folder):
        before = report.read(path, EVALUATION["task"], EVALUATION["split"], None)
        merged = report.merged(before, EVALUATION, {})
        assert json.dumps(merged)
        assert type(best.find(folder, EVALUATION["task"], {})) is int

    survives(folder, path.name, encoded(EVALUATION), read)


def test_what_steps_have_kept(folder):
    def read(folder):
        steps.check_settings(folder, {"seed": 3})
        result = steps.Steps(folder).run("settings", lambda: pytest.fail("it was there"))
        assert "seconds" in result

    survives(folder, "settings.json", encoded({"seed": 3, "seconds": 5}), read)


LOSSES = "".join(f'{{"step": {n}, "loss": {n / 7}, "seconds": 1.5}}\n' for n in range(1, 5))


def test_a_file_of_losses(folder):
    def read(folder):
        log = loss_log.LossLog(folder)
        found = log.read()
        log.rewind(3)
        assert log.read() == [row for row in found if row["step"] <= 3]
        assert all(row["loss"] == row["loss"] + 0 or row["loss"] != row["loss"] for row in found)
        json.loads(f"[{','.join((folder / 'loss.jsonl').read_text('utf-8').splitlines())}]")

    survives(folder, "loss.jsonl", LOSSES.encode(), read)


OWN_DATA = {
    "package_version": "1",
    "files": {"train": "a.tsv", "validation": "b.tsv"},
    "columns": {"inputs": "q"},
    "prefix": "x: ",
    "metrics": ["bleu"],
    "objective": "pairs",
    "lengths": {"inputs": 7, "targets": 5},
    "train_sha256": "0f",
}


def test_a_record_of_own_data(folder):
    survives(folder, own_data.RECORD, encoded(OWN_DATA), lambda folder: own_data.read(folder))


def test_a_record_of_a_best_checkpoint(folder):
    best = {"task": "t", "metric": "bleu", "step": 3, "value": 1.5}
    best |= {"split": "validation", "examples": 7, "scores": {"bleu": 1.5, "loss": 2}}
    (folder / kept_best.FOLDER).mkdir()

    def read(_):
        ModelFolder.at(folder).choose("best", "t")

    survives(folder / kept_best.FOLDER, kept_best.RECORD, encoded(best), read)


@pytest.mark.slow
@pytest.mark.parametrize("content", [EVALUATION, COMPARISON, COST, BENCHMARK, RUN])
def test_the_report_is_written_whatever_lies_there(tmp_path, content):
    """Files that are damaged are left out; not even a UserError is raised."""
    for name, whole in (("run.json", RUN), ("eval.json", EVALUATION), ("results.json", COMPARISON)):
        (tmp_path / name).write_bytes(encoded(whole))
    name = "run.json" if content is RUN else "other.json"

    @given(damaged(encoded(content)))
    def accidents(damage):
        (tmp_path / name).write_bytes(damage)
        found = files.collect([str(tmp_path)])
        sections = tables.sections(found)
        html = formats.html(sections, found.skipped, "report")
        assert "<script>" not in html
        markdown = formats.markdown(sections, found.skipped, "report")
        assert not re.search(r"(?<!\\)<script>", outside_of_code(markdown))
        assert (html + markdown).encode("utf-8")

    accidents()


def outside_of_code(markdown):
    """The lines that are no commands."""
    lines = re.split(r"[\r\n]", markdown)
    return "\n".join(line for line in lines if not line.startswith("    "))


PREDICTIONS = [
    {
        "task": "glue_cola_v002",
        "split": "test",
        "step": 3,
        "checkpoint": "abc",
        "index": index,
        "idx": index,
        "output": ("acceptable", "unacceptable")[index % 2],
        "prediction": index % 2,
    }
    for index in range(5)
]


def test_predictions(tmp_path_factory):
    """A whole zip, or nothing, and what was there before is as it was."""
    few = dataclasses.replace(
        GLUE.files[0], identities=dataclasses.replace(GLUE.files[0].identities, count=5)
    )
    board = Benchmark("glue", (few,))
    place = tmp_path_factory.mktemp("fuzz")
    whole = b"\n".join(map(encoded, PREDICTIONS))

    @given(damaged(whole), st.booleans())
    def accidents(damage, there):
        (place / "p.jsonl").write_bytes(damage)
        if there:
            (place / "s.zip").write_bytes(b"somebody's")
        before = contents(place)
        try:
            read = prediction_files.read([place / "p.jsonl"])
            made = archive.write(place / "s.zip", read, board, overwrite=there)
        except errors.UserError:
            assert contents(place) == before
        else:
            assert len(made.files[0].rows) == 5
            assert set(contents(place)) == {"p.jsonl", "s.zip"}
        (place / "s.zip").unlink(missing_ok=True)

    accidents()


GIN = """# A configuration.
from __gin__ import dynamic_registration
import mtf_synthesizer.attention
include 'sizes/tiny.gin'

d_model = 64
encoder/SyntheticAttention.synthesizer = @Mixture()
Mixture.functions = [@Random(), @decoder/DotProduct()]
Random:
  max_length = %max_length
  initial_scale = 1e-3
run.sequence_length = {'inputs': %inputs_length, "targets": (7, -3.5, None, True)}
"""
WORDS = (
    "a d_model include import from as gin / . = : @ % ( ) [ ] { } , ' \" ''' # \\ - 3 1e9 1_0 0x "
    "1j None $ macro.value Random max_length @Random() %d_model 'sizes/tiny.gin' b'x' f'x' ; ** == "
    "lambda"
)
ENDS = ["\n", "\n\t", "\n ", "\r", "\0", "\u00e9", "\u2028"]
PARTS = st.sampled_from(WORDS.split() + ENDS)


def check_gin(text):
    with contextlib.suppress(errors.UserError):
        names.check([], [text])
    with contextlib.suppress(errors.UserError):
        statements.macro("d_model", [], [text])


@given(damaged(GIN.encode()))
def test_a_gin_file(content):
    check_gin(content.decode("utf-8", "replace"))


@given(st.lists(PARTS, max_size=12), st.sampled_from(["", " "]))
def test_gin_of_its_parts(parts, between):
    check_gin(between.join(parts))


def test_a_gin_file_that_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(folder):
        names.check(["mine.gin"], ["d_model = 3"])

    survives(tmp_path, "mine.gin", GIN.encode() + b"include 'mine.gin'\n", read)


def test_a_configuration_of_a_model_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = GIN.replace("from __gin__ import dynamic_registration\n", "import seqio as a\n")

    def read(folder):
        TrustedReader(()).check(["operative_config.gin"])

    survives(tmp_path, "operative_config.gin", text.encode(), read)


MESH = st.text("batch:4;model2,. \u00b2\u0663-", max_size=20)


@given(MESH | st.text(), st.none() | MESH | st.text(), MESH)
def test_a_mesh(shape, layout, default):
    with contextlib.suppress(errors.UserError):
        assert parse(shape, layout, default).devices >= 1
