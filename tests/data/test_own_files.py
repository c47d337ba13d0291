"""Rows of a user's own files, and the faults that are reported before TensorFlow is loaded."""

import gzip
import json

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.data import own_files, own_lengths
from mtf_synthesizer.model_folder.own_data import OwnData

ROWS = [{"inputs": "a b", "targets": "c"}, {"inputs": 'd "e', "targets": "f, g"}]
TSV = 'a b\tc\n\nd "e\tf, g\n'


def rows(path, split="train", **fields):
    return list(own_files.rows(OwnData({split: str(path)}, **fields), split))


def written(folder, name, text):
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.tsv", TSV, None),
        ("a.tsv.gz", TSV, None),
        ("a.tsv", TSV.replace("\n", "\r\n"), None),
        ("a.tsv", 'targets\tn\tinputs\nc\t1\ta b\nf, g\t2\td "e\n', None),
        ("a.tsv", 'a b\t1\tc\nd "e\t2\tf, g\n', {"inputs": "1", "targets": "3"}),
        ("a.TSV", 'q\tanswer\na b\tc\nd "e\tf, g\n', {"inputs": "q", "targets": "answer"}),
        ("a.csv", 'a b,c\n"d ""e","f, g"\n', None),
        ("a.csv", 'inputs,targets\na b,c\n"d ""e","f, g"\n', None),
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS), None),
        (
            "a.json.gz",
            "".join(json.dumps({"q": r["inputs"], "n": 3, "a": r["targets"]}) + "\n" for r in ROWS),
            {"inputs": "q", "targets": "a"},
        ),
    ],
)
def test_rows(tmp_path, name, text, columns):
    path = written(tmp_path, name, text)
    assert rows(path, columns=columns) == ROWS
    assert own_files.check(OwnData({"train": str(path)}, columns=columns), "train") == len(ROWS)


def test_numbers_of_json_are_texts(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"inputs": "a", "targets": 3}\n')
    assert rows(path) == [{"inputs": "a", "targets": "3"}]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_lines_of_text(tmp_path, name):
    path = written(tmp_path, name, "one\n\n two \n")
    assert rows(path) == [{"targets": "one"}, {"targets": " two "}]
    assert rows(path, objective="lm") == [{"targets": "one"}, {"targets": " two "}]


@pytest.mark.parametrize(
    ("name", "text"), [("a.tsv", "id\ttext\n1\tone\n"), ("a.jsonl", '{"text": "one"}\n')]
)
def test_a_column_of_text(tmp_path, name, text):
    assert rows(written(tmp_path, name, text), objective="lm") == [{"targets": "one"}]


@pytest.mark.parametrize(
    ("name", "text"), [("a.tsv", "one\ntwo\n"), ("a.jsonl", '{"inputs": "one"}\n')]
)
def test_only_predict_reads_rows_without_targets(tmp_path, name, text):
    path = written(tmp_path, name, text)
    assert rows(path, "test")[0] == {"inputs": "one"}
    own_files.check(OwnData({"test": str(path)}), "test", needs_targets=False)
    with pytest.raises(errors.UserError, match="--columns targets="):
        own_files.check(OwnData({"test": str(path)}), "test")
    with pytest.raises(errors.UserError, match="targets"):
        own_files.check(OwnData({"train": str(path)}), "train")


@pytest.mark.parametrize(
    ("name", "text", "fields", "message"),
    [
        ("a.tsv", "", {}, "no rows"),
        ("a.tsv", "inputs\ttargets\n", {}, "no rows"),
        ("a.jsonl", "\n", {}, "no rows"),
        ("a.xls", "", {}, r"must end in \.tsv, \.csv, \.jsonl"),
        ("a.tsv", "a\tb\tc\n", {}, "line 1: 3 columns, not 2 .*--columns inputs=1,targets=2"),
        ("a.tsv", "a\tb\nc\nd\te\tf\n", {}, "line 2: 1 column instead of 2; line 3: 3 columns"),
        ("a.tsv", "a\tb\nc\t \n", {}, "line 2: the targets are empty"),
        ("a.tsv", "a\n" * 9, {"columns": {"inputs": "1", "targets": "2"}}, "line 5.*and 4 more"),
        ("a.tsv", "q\ta\nb\tc\n", {"columns": {"inputs": "k"}}, "no column 'k'.*Columns: q, a"),
        ("a.tsv", "question\tb\n", {"columns": {"inputs": "questoin"}}, "mean 'question'"),
        ("a.csv", 'a,b\n"c,d\n', {}, "line 2: not CSV"),
        ("a.jsonl", '{"inputs": "a"\n', {}, "line 1: not JSON"),
        ("a.jsonl", '{"q": "a"}\n', {}, "line 1: no field 'inputs'.*Fields: q"),
        ("a.jsonl", '{"inputs": "a", "targets": ["b"]}\n', {}, "line 1: targets must be a text"),
        ("a.jsonl", '{"inputs": "a", "targets": true}\n', {}, "line 1: targets must be a text"),
        ("a.jsonl", '{"inputs":"a","targets":"b"}\n{"inputs":"a"}\n', {}, "line 2: no 'targets'"),
        ("a.txt", "a\n", {"objective": "pairs"}, "--objective spans"),
        ("a.txt", "a\x00\n", {}, "line 1: contains NUL"),
    ],
)
def test_faults_name_line_and_reason(tmp_path, name, text, fields, message):
    path = written(tmp_path, name, text)
    with pytest.raises(errors.UserError, match=message):
        own_files.check(OwnData({"train": str(path)}, **fields), "train")


def test_a_missing_file(tmp_path):
    with pytest.raises(errors.UserError, match=r"--data train=.*no such file"):
        own_files.check(OwnData({"train": str(tmp_path / "a.tsv")}), "train")
    with pytest.raises(errors.UserError, match=r"no split dev\. Add --data dev=FILE"):
        own_files.check(OwnData({"train": str(tmp_path / "a.tsv")}), "dev")


def test_text_that_is_not_utf_8(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"a\tb\n\xe4\tb\n")
    with pytest.raises(errors.UserError, match="line 2: not UTF-8"):
        own_files.check(OwnData({"train": str(tmp_path / "a.tsv")}), "train")


def test_files_of_t5s_reader_have_two_columns(tmp_path):
    own_files.check_pairs_of_t5(str(written(tmp_path, "a.txt", "a\tb\nc\td\n")))
    path = written(tmp_path, "b.tsv", "a\tb\n\nc\td\te\n")
    with pytest.raises(errors.UserError, match="line 2: 1 column instead of 2; line 3: 3 columns"):
        own_files.check_pairs_of_t5(str(path))


def test_lengths_of_pairs(tmp_path):
    """In bytes, with EOS and the prefix; a longer row counts as cut."""
    path = written(tmp_path, "a.tsv", "aaa\tä\nb\tccccc\n")
    found = own_lengths.measure(OwnData({"train": str(path)}, prefix="x: "), "bytes")
    assert found.lengths == {"inputs": 3 + 3 + 1, "targets": 5 + 1}
    assert (found.rows, found.cut) == (2, 0)
    path = written(tmp_path, "b.tsv", f"{'a' * 512}\tb\nc\td\n")
    found = own_lengths.measure(OwnData({"train": str(path)}), "bytes")
    assert found.lengths == {"inputs": 512, "targets": 2}
    assert (found.rows, found.cut) == (2, 1)


def test_lengths_of_texts(tmp_path):
    path = written(tmp_path, "a.txt", "aaa\nbb\n")
    lm = own_lengths.measure(OwnData({"train": str(path)}, objective="lm"), "bytes")
    assert lm.lengths["targets"] == 4 + 3
    spans = own_lengths.measure(OwnData({"train": str(path)}), "bytes")
    assert spans.lengths == {"inputs": 512, "targets": 114}
