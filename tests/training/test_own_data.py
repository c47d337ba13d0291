"""A model trained on files of one's own: its task, its folder, and the readers of the folder."""

import json
import pathlib
import re

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.model_folder import own_data as record
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.tasks import own_data
from mtf_synthesizer.training.start import prepare
from mtf_synthesizer.upstream import vocabulary

DOCS = pathlib.Path(__file__).parent.parent.parent / "docs"
SMALLEST = ("d_model = 8", "num_layers = 1", "d_ff = 11", "num_heads = 2", "d_kv = 3")
WORDS = ("red", "green", "blue", "grey", "black", "white", "brown")
PAIRS = "".join(f"{word} {word}\t{word}\n" for word in WORDS)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "train.tsv").write_text(PAIRS)
    rows = [{"q": f"{word} {word}", "a": word} for word in WORDS[:3]]
    (folder / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "test.tsv").write_text("red\nblue\n")
    (folder / "text.txt").write_text("".join(f"{word} cat\n" for word in WORDS))
    return folder


@pytest.fixture(scope="module")
def data(files):
    return OwnData({"train": str(files / "train.tsv")}, prefix="say: ", metrics=("bleu",))


def train(folder, data, **changes):
    given = {"synthesizer": "rv", "size": "tiny", "vocabulary": "bytes", "steps": 2}
    given |= {"gin_params": [*SMALLEST, *changes.pop("params", ())], **changes}
    given |= {"batch_size": 3, "attention_summaries": False, "show_progress": False}
    return calls.train(folder, own_data=data, **given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("models") / "own"
    train(folder, data)
    return folder


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
    longest = len("say: green green")
    assert f"inputs_length = {longest + 1}" in text and "targets_length = 6" in text
    assert "learning_rate = 0.001" in text


def test_the_folder_has_the_task(trained, files):
    """Neither --task nor --data nor --vocabulary."""
    data = OwnData({"validation": str(files / "dev.jsonl")}, {"inputs": "q", "targets": "a"})
    report = calls.evaluate(trained, None, own_data=data)
    (row,) = report["results"]
    assert (row["task"], row["examples"], [*row["metrics"]]) == ("own_data", 3, ["bleu"])
    assert row["loss"] > 0 and len(row["data_sha256"]) == 64
    again = calls.evaluate(trained, None, split="train", decode=False)
    assert again["results"][0]["examples"] == len(WORDS)
    with pytest.raises(errors.UserError, match="unknown split"):
        calls.evaluate(trained, None)


def test_rows_without_targets_are_decoded(trained, files, tmp_path):
    data = OwnData({"test": str(files / "test.tsv")})
    calls.predict(trained, None, own_data=data, output=str(tmp_path / "p.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and "target" not in rows[0] and "prediction" in rows[0]


def test_the_same_command_resumes(trained, data, files, tmp_path):
    run = prepare(ModelFolder.at(trained), asked(data))
    assert run.request.own_data.lengths == {"inputs": 17, "targets": 6}
    moved = tmp_path / "moved.tsv"
    moved.write_text(PAIRS)
    prepare(ModelFolder.at(trained), asked(OwnData({"train": str(moved)}, prefix="say: ")))
    moved.write_text(PAIRS + "a\tb\n")
    for other, message in (
        (OwnData({"train": str(moved)}, prefix="say: "), "train had another content"),
        (OwnData({"train": str(files / "train.tsv")}), "--prefix say: , not not given"),
        (None, "--data, not no --data"),
    ):
        with pytest.raises(errors.UserError, match=message):
            prepare(ModelFolder.at(trained), asked(other, task=None if other else "t"))


def asked(data, task=None):
    return Request(
        task,
        own_data=data,
        synthesizer="rv",
        size="tiny",
        vocabulary="bytes",
        steps=2,
        batch_size=3,
        gin_params=SMALLEST,
    )


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
    assert [text(row["inputs"]) for row in rows] == [f"say: {w} {w}" for w in WORDS]
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
        texts = ["a b c d", "e f g h"] if name == "bleu" else ["1", "2", "x"]
        values = metric(texts, texts)
        assert all(value > 99 for value in values.values()), name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("macro_f1", {"macro_f1": 100 * (2 / 3 + 0) / 2}),  # a: 1 of 2 predicted, b: none
        ("pearson", {"pearson_corrcoef": 0.0}),
        ("squad", {"em": 50.0, "f1": 50.0}),
    ],
)
def test_values_of_metrics(name, expected):
    found = own_data.METRICS[name](["a", "b"], ["a", "a"])
    assert found == pytest.approx(expected)


def test_the_task_of_the_page_has_the_same_examples(data, files, monkeypatch):
    """docs/own_data.md writes the task in 15 lines of Python."""
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "own_data.md").read_text(), re.DOTALL)
    lines = [line for line in code.splitlines() if line]
    assert len(lines) <= 15
    monkeypatch.chdir(files)
    (files / "pairs.tsv").write_text(PAIRS)
    exec(code, {})
    try:
        ours = examples(OwnData({"train": "pairs.tsv"}, prefix="translate: "))
        theirs = examples(data, name="my_pairs")
    finally:
        seqio.TaskRegistry.remove("my_pairs")
    assert len(ours) == len(theirs) == len(WORDS)
    for mine, its in zip(ours, theirs, strict=True):
        assert {*its} == {*mine}
        for name, value in mine.items():
            np.testing.assert_array_equal(value, its[name])


def test_t5s_reader_of_tsv_files_trains(files, data, tmp_path):
    reader = (
        "utils.run.train_dataset_fn = @t5.models.mesh_transformer.tsv_dataset_fn",
        f"tsv_dataset_fn.filename = '{files / 'train.tsv'}'",
    )
    assert train(tmp_path / "m", data, params=reader, steps=1)["step"] == 1
