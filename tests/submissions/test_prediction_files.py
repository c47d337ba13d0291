"""Reading what `predict` wrote: every line checked, no traceback for any content."""

import contextlib
import dataclasses
import json

import mtf_synthesizer.runtime.compat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtf_synthesizer import errors
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference import records
from mtf_synthesizer.submissions import archive, prediction_files
from mtf_synthesizer.submissions.glue import GLUE
from mtf_synthesizer.submissions.layout import Benchmark


def test_reads_files_and_folders(tmp_path):
    rows = [{"task": "a", "split": "test", "output": "\u00e9\u2028x"}] * 3
    records.write_lines(tmp_path / "b" / "2.jsonl", rows[:2])
    records.write_lines(tmp_path / "b" / "1.jsonl", rows[:1])
    saving.write_json(tmp_path / "b" / "settings.json", {})
    records.write_lines(tmp_path / "c", rows)
    (tmp_path / "c").write_text("\n" + (tmp_path / "c").read_text("utf-8"), "utf-8")
    read = prediction_files.read([tmp_path / "c", tmp_path / "b"])
    assert [(each.file.name, each.line) for each in read] == [
        *(("c", n) for n in (2, 3, 4)),
        *(("1.jsonl", 1), ("2.jsonl", 1), ("2.jsonl", 2)),
    ]
    assert all(each.fields == rows[0] for each in read)


def test_hidden_files_and_files_named_twice_do_not_count(tmp_path):
    records.write_lines(tmp_path / "a.jsonl", [{"task": "a", "split": "test", "output": "x"}])
    (tmp_path / "._a.jsonl").write_bytes(b"\0\5\x16\7 Mac OS X")
    read = prediction_files.read([tmp_path, tmp_path / "a.jsonl", tmp_path / "." / "a.jsonl"])
    assert [(each.file, each.line) for each in read] == [(tmp_path / "a.jsonl", 1)]


GOOD = {"task": "a", "split": "test", "output": "x", "step": 3, "checkpoint": "c", "idx": 4}
BROKEN = {
    "cut off": ('{"task": "a", "spl', r"line 2: not JSON"),
    "no object": ("[1]", r"line 2: expected a JSON object"),
    "no task": ({"task": None}, r"line 2: task must be a text, not None"),
    "task": ({"task": 5}, r"line 2: task must be a text, not 5"),
    "split": ({"split": ["test"]}, r"line 2: split must be a text"),
    "output": ({"output": None}, r"line 2: output must be a text"),
    "step": ({"step": "3"}, r"line 2: step must be a whole number, not '3'"),
    "truth": ({"step": True}, r"line 2: step must be a whole number, not True"),
    "checkpoint": ({"checkpoint": {}}, r"line 2: checkpoint must be a text"),
    "surrogate": ({"output": "\ud800"}, r"line 2: output holds half a character"),
    "not UTF-8": (b'{"task": "\xff"}', r"line 2: not JSON"),
    "deep": ("[" * 100_000, r"line 2: not JSON"),
    "long number": ('{"idx": ' + "1" * 5000 + "}", r"line 2: not JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_line_is_named(tmp_path, case):
    line, message = BROKEN[case]
    if isinstance(line, dict):
        line = json.dumps(GOOD | line)
    data = line if isinstance(line, bytes) else line.encode("utf-8")
    path = tmp_path / "p.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n" + data + b"\n")
    with pytest.raises(errors.UserError, match=rf"p\.jsonl: {message}"):
        prediction_files.read([path])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(errors.UserError, match=r"x\.jsonl can't be read: No such file"):
        prediction_files.read([tmp_path / "x.jsonl"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["task", "split", "output", "step", "checkpoint", "idx", "prediction"]
LINES = (
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(FIELDS), JSON).map(lambda d: json.dumps(GOOD | d).encode())
)
WORDS = GLUE.files[0]


@given(st.lists(LINES, max_size=4))
def test_whatever_a_file_holds_no_traceback(tmp_path_factory, rows):
    """Either it is submitted, or one message says what is wrong."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "p.jsonl").write_bytes(b"\n".join(rows))
    few = dataclasses.replace(WORDS.identities, count=2)
    file = dataclasses.replace(WORDS, identities=few, tasks={"a": WORDS.tasks["glue_cola_v002"]})
    with contextlib.suppress(errors.UserError):
        read = prediction_files.read([folder / "p.jsonl"])
        archive.write(folder / "s.zip", read, Benchmark("b", (file,)), invalid=["0"])
        assert (folder / "s.zip").exists()
