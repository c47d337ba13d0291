"""Submission zips: joined by index, checked, the same bytes for the same predictions."""

import zipfile

import pytest

from mtf_synthesizer import submission
from mtf_synthesizer.submission import TaskFile

FILES = {"labels": TaskFile("labels.tsv", ("yes", "no")), "text": TaskFile("text.tsv", None)}
COUNTS = {"labels": 3, "text": 2}


def records():
    labels = [("labels", i, p) for i, p in enumerate(["yes", "no", "yes"])]
    texts = [("text", i, p) for i, p in enumerate(["a\tb\nc", "d"])]
    return [{"task": t, "index": i, "prediction": p} for t, i, p in labels + texts]


def test_layout(tmp_path):
    submission.write(tmp_path / "s.zip", records(), COUNTS, FILES)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["labels.tsv", "text.tsv"]
        assert archive.read("labels.tsv") == b"index\tprediction\n0\tyes\n1\tno\n2\tyes\n"
        assert archive.read("text.tsv") == b"index\tprediction\n0\ta b c\n1\td\n"
    assert [path.name for path in tmp_path.iterdir()] == ["s.zip"]


def test_order_of_lines_does_not_matter(tmp_path):
    submission.write(tmp_path / "a.zip", records(), COUNTS, FILES)
    submission.write(tmp_path / "b.zip", reversed(records()), COUNTS, FILES)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_missing_prediction_is_refused():
    with pytest.raises(
        ValueError, match="labels: no prediction for 1 of 3 examples, the first is 1"
    ):
        submission.by_index(records()[::2], "labels", 3)


def test_doubled_prediction_is_refused():
    with pytest.raises(ValueError, match="text: two predictions for example 1"):
        submission.by_index([*records(), records()[-1]], "text", 2)


def test_prediction_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"labels: a prediction for example 2.*has 2 \(0 to 1\)"):
        submission.by_index(records(), "labels", 2)


def test_unknown_label_is_refused_and_nothing_written(tmp_path):
    rows = records()
    rows[1]["prediction"] = "perhaps"
    with pytest.raises(
        ValueError, match=r"1 predictions are no label.*'perhaps' for example 1.*yes"
    ):
        submission.write(tmp_path / "s.zip", rows, COUNTS, FILES)
    assert not list(tmp_path.iterdir())


def test_named_replacement_is_counted(tmp_path):
    rows = records()
    rows[1]["prediction"] = "perhaps"
    path = tmp_path / "s.zip"
    replaced = submission.write(path, rows, COUNTS, FILES, replacements={"labels": "no"})
    assert replaced == {"labels": 1, "text": 0}
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.tsv").splitlines()[2] == b"1\tno"
