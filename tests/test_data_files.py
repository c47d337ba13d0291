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
    with pytest.raises(DataError, match=r"after line .*compressed data is broken or cut off"):
        list(files.lines(path))
