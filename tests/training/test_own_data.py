"""A model trained on files of one's own: its task, its folder, and the readers of the folder."""

import contextlib
import dataclasses
import json
import re
import shlex

import mtf_synthesizer.runtime.compat

import calls
import doc_commands
import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.model_folder import metric_order
from mtf_synthesizer.model_folder import own_data as record
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.tasks import own_data
from mtf_synthesizer.training.start import prepare
from mtf_synthesizer.training.train import TrainOptions, train
from mtf_synthesizer.upstream import vocabulary

pytestmark = pytest.mark.slow

COMMANDS = doc_commands.of_page("own_data.md")
WORDS = ("red", "green", "blue", "grey", "black", "white", "brown")
PAIRS = "".join(f"{word} {word}\t{word}\n" for word in WORDS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in ("train.tsv", "pairs.tsv"):
        (folder / name).write_text(PAIRS)
    rows = [{"inputs": f"{word} {word}", "targets": word} for word in WORDS[:3]]
    (folder / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "new.tsv").write_text(f"red\nblue\n{' '.join(WORDS * 3)}\n")
    (folder / "text.txt").write_text("".join(f"{word} cat\n" for word in WORDS))
    return folder


@pytest.fixture(scope="module")
def data(files):
    return OwnData({"train": str(files / "pairs.tsv")}, prefix="translate: ")


def asked(data, task=None, **changes):
    given = {"synthesizer": "rv", "size": "tiny", "vocabulary": "bytes", "steps": 2}
    given |= {"gin_params": doc_commands.BINDINGS, "batch_size": 3} | changes
    return Request(task, own_data=data, **given)


@pytest.fixture(scope="module")
def trained(files):
    """The folder of the page's first command."""
    with contextlib.chdir(files):
        small = ("--steps", "2", "--batch_size", "3", "--no_attention_summaries")
        doc_commands.run(COMMANDS[0], *doc_commands.SMALLEST, *small)
    return files / "runs" / "own"


def examples(data, split="train", lengths=None, name=record.TASK):
    """The rows of a task, with the vocabulary of bytes."""
    vocabulary.choose("bytes")
    own_data.register(data)
    try:
        task = seqio.get_mixture_or_task(name)
        lengths = lengths or {"inputs": 64, "targets": 64}
        return list(tfds.as_numpy(task.get_dataset(lengths, split, shuffle=False)))
    finally:
        own_data.remove()
        vocabulary.choose(None)


def text(ids):
    return bytes(int(i) - 3 for i in ids if i > 2).decode()


def test_the_lengths_are_those_of_the_rows(trained):
    text = (trained / "operative_config.gin").read_text()
    longest = len("translate: green green")
    assert f"inputs_length = {longest + 1}" in text and "targets_length = 6" in text
    assert "learning_rate = 0.001" in text


def test_the_folder_has_the_task(trained, files, capsys):
    """The page's second command gives neither --task nor --data nor --vocabulary."""
    with contextlib.chdir(files.parent):  # from anywhere
        doc_commands.run(["evaluate", "--model_dir", str(trained)])
    assert "own_data" in capsys.readouterr().out
    (row,) = json.loads((trained / "eval_own_data_validation.json").read_text())["results"]
    assert (row["examples"], [*row["metrics"]]) == (3, ["accuracy", "bleu"])
    assert row["loss"] > 0 and len(row["data_sha256"]) == 64
    assert COMMANDS[1] == ["evaluate", "--model_dir", "runs/own"]
    with pytest.raises(errors.UserError, match="unknown split"):
        calls.evaluate(trained, None, split="test")


def test_rows_without_targets_are_decoded_and_what_is_cut_is_said(trained, files, capsys):
    with contextlib.chdir(files):
        doc_commands.run(COMMANDS[2])
    assert "; 1 cut to the length of the model's inputs (example 3; " in capsys.readouterr().out
    lines = (files / "runs" / "own_predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 3 and "target" not in rows[0] and "prediction" in rows[0]


def test_a_warm_start_keeps_the_task(trained, files):
    """The page's commands for a checkpoint of T5, with this model in its place."""
    warm, tune = COMMANDS[3:5]
    with contextlib.chdir(files):
        small = ("--size", "tiny", "--from", "runs/own", "--vocabulary", "bytes")
        doc_commands.run(warm, *doc_commands.SMALLEST, *small)
        start = tune[tune.index("--init_checkpoint") + 1]
        run = prepare(ModelFolder.at("runs/rv_pairs"), Request(init_checkpoint=start, steps=3))
    assert run.request.own_data.files["validation"] == str(files / "dev.jsonl")
    assert run.request.own_data.lengths == {"inputs": 12, "targets": 6}  # no prefix
    assert "inputs_length = 12" in run.configuration.params


def test_the_same_command_resumes(trained, data, files, tmp_path):
    metrics = {"metrics": ("rouge",)}  # free
    run = prepare(ModelFolder.at(trained), asked(dataclasses.replace(data, **metrics)))
    assert run.request.own_data.lengths == {"inputs": 23, "targets": 6}
    moved = tmp_path / "moved.tsv"
    moved.write_text(PAIRS)
    prepare(ModelFolder.at(trained), asked(dataclasses.replace(data, files={"train": str(moved)})))
    moved.write_text(PAIRS + "a\tb\n")
    for other, message in (
        (dataclasses.replace(data, files={"train": str(moved)}), "train had another content"),
        (dataclasses.replace(data, prefix=None), "--prefix translate: , not not given"),
        (None, "--data, not no --data"),
    ):
        with pytest.raises(errors.UserError, match=message):
            prepare(ModelFolder.at(trained), asked(other, task=None if other else "t"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("t", own_data=OwnData({"train": "a"})), "--data defines the task"),
        (Request(own_data=OwnData({"train": "a"}, metrics=("b",))), "unknown --metrics"),
        (
            Request(own_data=OwnData({"train": "a"}), additional_task_cache_dirs=["c"]),
            "has no caches",
        ),
    ],
)
def test_what_does_not_go_together(request_, message):
    with pytest.raises(errors.UserError, match=message):
        for_training(request_)


def test_training_needs_the_split_train(tmp_path):
    with pytest.raises(errors.UserError, match="Add --data train=FILE"):
        prepare(ModelFolder.at(tmp_path), Request(own_data=OwnData({"test": "a.tsv"})))


def test_pairs(data):
    rows = examples(data)
    assert [text(row["inputs"]) for row in rows] == [f"translate: {w} {w}" for w in WORDS]
    assert all(row["targets"][-1] == vocabulary.EOS for row in rows)


def test_spans_fill_their_rows(files):
    rows = examples(
        OwnData({"train": str(files / "text.txt")}), lengths={"inputs": 17, "targets": 9}
    )
    assert all(len(row["inputs"]) <= 17 and len(row["targets"]) <= 9 for row in rows)
    assert sum(len(row["inputs"]) == 17 for row in rows) >= 3


def test_a_language_model_reads_every_token_once(files):
    data = OwnData({"train": str(files / "text.txt")}, objective="lm")
    rows = examples(data, lengths={"targets": 11})
    tokens = np.concatenate([row["targets"] for row in rows])
    assert text(tokens) == "".join(f"{word} cat" for word in WORDS)
    assert sum(tokens == vocabulary.EOS) == len(WORDS)
    assert sum(row["words"] for row in rows) == 3 * len(WORDS)


def test_every_metric_of_the_flag_exists():
    assert sorted(own_data.METRICS) == [*record.METRICS]
    for name, metric in own_data.METRICS.items():
        texts = ["e f g h", "i j k l"] if name in ("bleu", "rouge") else ["1", "2", "x"]
        values = metric(texts, texts)
        assert all(value > 99 for value in values.values()), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("macro_f1", {"macro_f1": 100 * (2 / 3 + 0) / 2}),  # x: 1 of 2 predicted, y: none
        ("pearson", {"pearson_corrcoef": 0.0}),
        ("squad", {"em": 50.0, "f1": 50.0}),
    ],
)
def test_values_of_metrics(name, expected):
    found = own_data.METRICS[name](["x", "y"], ["x", "x"])
    assert found == pytest.approx(expected)


def test_the_task_of_the_page_has_the_same_examples(data, files, monkeypatch):
    """docs/own_data.md writes the task in 15 lines of Python."""
    text = (doc_commands.DOCS / "own_data.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 15
    monkeypatch.chdir(files)
    exec(code, {})
    try:
        ours, theirs = examples(data), examples(data, name="my_pairs")
    finally:
        seqio.TaskRegistry.remove("my_pairs")
    assert len(ours) == len(theirs) == len(WORDS)
    for mine, its in zip(ours, theirs, strict=True):
        assert {*its} == {*mine}
        for name, value in mine.items():
            np.testing.assert_array_equal(value, its[name])


def test_t5s_reader_of_tsv_files_trains(data, files, tmp_path, monkeypatch):
    text = (doc_commands.DOCS / "own_data.md").read_text()
    (line,) = re.findall(r"^    (--gin_param .*tsv_dataset_fn.*)$", text, re.MULTILINE)
    monkeypatch.chdir(files)
    params = [word for word in shlex.split(line) if word != "--gin_param"]
    request = asked(data, steps=1, gin_params=[*doc_commands.BINDINGS, *params])
    missing = [param.replace("pairs.tsv", "missing.tsv") for param in params]
    with pytest.raises(errors.UserError, match=r"filename = 'missing\.tsv': no such file"):
        prepare(ModelFolder.at(tmp_path / "m"), asked(data, gin_params=missing))
    options = TrainOptions(attention_summaries=False, show_progress=False)
    assert train(tmp_path / "m", request, options)["step"] == 1


def test_every_score_has_a_direction():
    """So that --evaluate_every can choose the best."""
    for metric in own_data.METRICS.values():
        for name in metric(["e f g h", "1"], ["e f g h", "1"]):
            assert not metric_order.lower_is_better(name)
