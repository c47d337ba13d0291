"""The definition of a user's own task: flags, record, and changes to the record."""

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder import own_data
from mtf_synthesizer.model_folder.own_data import OwnData

FILES = ("train=a.tsv", "validation=b.jsonl")


def test_flags():
    data = own_data.from_flags(FILES, ["inputs=q", "targets=a=b"], "x: ", ["bleu"], "pairs")
    assert data == OwnData(
        {"train": "a.tsv", "validation": "b.jsonl"},
        {"inputs": "q", "targets": "a=b"},
        "x: ",
        ("bleu",),
        "pairs",
    )
    assert own_data.from_flags(()) is None
    assert own_data.from_flags((), metrics=["bleu"]) == OwnData({}, metrics=("bleu",))


@pytest.mark.parametrize(
    ("files", "message"),
    [(["a.tsv"], "--data a.tsv: give SPLIT=FILE"), (["train=a", "train=b"], "twice, as a and b")],
)
def test_flags_of_another_form(files, message):
    with pytest.raises(errors.UserError, match=message):
        own_data.from_flags(files)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (OwnData({"a b": "a.tsv"}), "letters, digits"),
        (OwnData({"train": "a.tsv"}, metrics=("blue",)), "mean 'bleu'"),
        (OwnData({"train": "a.tsv"}, columns={"input": "q"}), "mean 'inputs'"),
        (OwnData({"train": "a.tsv"}, objective="spams"), "mean 'spans'"),
        (OwnData({"train": "a.txt"}, metrics=("bleu",)), "Leave --metrics out"),
    ],
)
def test_unknown_names(data, message):
    with pytest.raises(errors.UserError, match=message):
        data.check()


def test_defaults():
    assert OwnData({"train": "a.tsv"}).chosen_objective == "pairs"
    assert OwnData({"train": "a.tsv", "test": "b.txt"}).chosen_objective == "pairs"
    assert OwnData({"train": "a.txt.gz"}).chosen_objective == "spans"
    assert OwnData({"train": "a.tsv"}).chosen_metrics == ("accuracy",)
    assert OwnData({"train": "a.txt"}).chosen_metrics == ()


def test_the_record_has_whole_paths_and_all_values(tmp_path):
    assert own_data.read(tmp_path) is None
    data = OwnData({"train": "a.tsv"}, None, None, None, None, {"inputs": 7}, "0f")
    own_data.write(tmp_path, data)
    read = own_data.read(tmp_path)
    assert read.files["train"].endswith("/a.tsv") and read.files["train"] != "a.tsv"
    assert (read.columns, read.prefix, read.metrics, read.objective) == (
        {},
        "",
        ("accuracy",),
        "pairs",
    )
    assert (read.lengths, read.train_sha256) == ({"inputs": 7}, "0f")


def test_changes_to_a_record():
    recorded = OwnData({"train": "a", "test": "b"}, {"inputs": "q"}, "x", ("bleu",), "pairs")
    changed = OwnData({"test": "c"}, metrics=("rouge",)).over(recorded)
    assert changed == OwnData(
        {"train": "a", "test": "c"}, {"inputs": "q"}, "x", ("rouge",), "pairs"
    )
    assert OwnData({"test": "c"}).over(None) == OwnData({"test": "c"})


@pytest.mark.parametrize("text", ["[]", '{"files": 3}', "{", '{"files": {"train": "a"}}'])
def test_a_damaged_record(tmp_path, text):
    (tmp_path / own_data.RECORD).write_text(text)
    with pytest.raises(errors.UserError, match="not a record of a model's data"):
        own_data.read(tmp_path)
