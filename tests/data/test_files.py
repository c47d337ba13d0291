"""Official files as lines: compression, ends of lines, marks, and faults with their line."""

import gzip

import pytest

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError

TEXT = "\ufeffone\r\ntwo \u2028 three\n\rfour\n\nfive".encode()
LINES = ["one", "two \u2028 three", "\rfour", "", "five"]


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz"])
def test_lines(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(TEXT) if name.endswith(".gz") else TEXT)
    assert list(files.lines(path)) == LINES


def test_the_line_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"good\n" * 6 + b"caf\xe9\n" + b"good\n" * 3)
    with pytest.raises(DataError, match="line 7: not UTF-8"):
        list(files.lines(path))


def test_a_cut_file(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"line\n" * 1000)[:-9])
    with pytest.raises(DataError, match=r"after line .*compressed data is damaged or truncated"):
        list(files.lines(path))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_not_taken_for_utf_8(tmp_path, encoding):
    path = tmp_path / "x.txt"
    path.write_bytes("plain words\n".encode(encoding))
    with pytest.raises(DataError, match=r"x\.txt: line 1: contains NUL, so it is UTF-16"):
        list(files.lines(path))


def test_hidden_files_are_not_found_and_folders_may_hold_brackets(tmp_path):
    folder = tmp_path / "data[1]*"
    for name in ("train.csv", "._train.csv", ".train.csv.swp", "Train2.csv.gz"):
        (folder / "AG").mkdir(parents=True, exist_ok=True)
        (folder / "AG" / name).touch()
    found = [path.name for path in files.find(folder, "ag/train*.csv")]
    assert found == ["Train2.csv.gz", "train.csv"]
