"""Lines of a text and the file of what is made of them, whole or interrupted, without a model."""

import io
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ram_folders import bucket, exact_names  # noqa: F401

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.inference import text_lines


def lines_of(tmp_path, content):
    (tmp_path / "in").write_bytes(content)
    with text_lines.opened(str(tmp_path / "in")) as lines:
        return lines


def test_only_line_feeds_end_lines(tmp_path):
    content = "\ufeffred\u2028blue \r\n\n\t green\x85 grey\n  \nblack".encode()
    lines = lines_of(tmp_path, content)
    assert list(lines) == ["red\u2028blue", "", "green\x85 grey", "", "black"]
    assert list(lines) == list(lines)


def test_what_is_no_text_is_named_by_its_line(tmp_path):
    with pytest.raises(errors.UserError, match="in, line 3: not UTF-8 text"):
        list(lines_of(tmp_path, b"a\n\n\xffb\n"))


def test_utf_16_without_a_mark_is_not_taken_for_utf_8(tmp_path):
    with pytest.raises(
        errors.UserError, match="in, line 1: the line has a NUL byte, so the file is UTF-16"
    ):
        list(lines_of(tmp_path, "red\n".encode("utf-16-le")))


def test_a_pipe_is_read_like_a_file(tmp_path, monkeypatch):
    content = "é\nb\n".encode()
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(content)))
    with text_lines.opened("-") as lines:
        assert list(lines) == list(lines) == ["é", "b"]
        assert lines.digest() == lines_of(tmp_path, content).digest()
    assert lines_of(tmp_path, b"e\nb\n").digest() != lines_of(tmp_path, content).digest()


MADE_BY = {"input": "abc", "checkpoint": "def"}


def write(path, lines, made_by=MADE_BY):
    with text_lines.Output(path, made_by) as out:
        for line in lines[out.done :]:
            out.write(line)
    return out.done


def test_a_line_for_each_and_nothing_else_is_left(tmp_path):
    assert write(tmp_path / "out", ["a", "", "b\nc\u2028d", "é"]) == 0
    assert (tmp_path / "out").read_bytes() == "a\n\nb c d\né\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def interrupted(path, lines, made_by=MADE_BY):
    with pytest.raises(KeyboardInterrupt), text_lines.Output(path, made_by) as out:
        for line in lines:
            out.write(line)
        raise KeyboardInterrupt


def test_the_beginning_outlives_an_interruption_and_is_continued(tmp_path):
    out = tmp_path / "out"
    interrupted(out, ["a", "b"])
    assert not out.exists()
    with open(tmp_path / "out.part", "ab") as file:
        file.write(b"half")  # of the line after, when the process was killed
    begun = (tmp_path / "out.part").stat().st_ino
    assert write(out, ["a", "b", "c"]) == 2
    assert out.read_text() == "a\nb\nc\n"
    assert out.stat().st_ino == begun  # it was not copied
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_remote_output_is_continued_alike():
    out = bucket() / "out"
    text_lines.check_output(str(out))
    interrupted(out, ["a", "b"])
    with (out.parent / "out.part").open("ab") as file:
        file.write(b"half")
    with pytest.raises(errors.UserError, match="another checkpoint"):
        text_lines.Output(out, {**MADE_BY, "checkpoint": "x"})
    assert write(out, ["a", "b", "c"]) == 2
    assert out.read_text() == "a\nb\nc\n"
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    with pytest.raises(errors.UserError, match="the file exists"):
        text_lines.check_output(str(out))


def test_gin_files_count_by_what_is_in_them(tmp_path):
    lines, mine = lines_of(tmp_path, b"a\n"), tmp_path / "mine.gin"

    def made_by(gin_file):
        return text_lines.made_by(lines, "def", Configuration((str(gin_file),), ("d_ff = 7",), ()))

    mine.write_text("beam_size = 2")
    begun = made_by(mine)
    interrupted(tmp_path / "out", ["a"], begun)
    mine.rename(tmp_path / "renamed.gin")
    assert made_by(tmp_path / "renamed.gin") == begun
    mine.write_text("beam_size = 4")
    with pytest.raises(errors.UserError, match="another gin_files"):
        text_lines.Output(tmp_path / "out", made_by(mine))
    assert made_by("beam_search.gin")["gin_files"] == ["beam_search.gin"]


def test_files_that_bindings_include_count_by_what_is_in_them(tmp_path):
    lines, mine = lines_of(tmp_path, b"a\n"), tmp_path / "mine.gin"
    configuration = Configuration((), (f"include '{mine}'",), ())
    mine.write_text("beam_size = 2")
    interrupted(tmp_path / "out", ["a"], text_lines.made_by(lines, "def", configuration))
    mine.write_text("beam_size = 4")
    with pytest.raises(errors.UserError, match="another included_file_sha256"):
        text_lines.Output(tmp_path / "out", text_lines.made_by(lines, "def", configuration))


def test_vocabularies_count_by_what_is_in_them_and_modules_by_name(tmp_path):
    lines = lines_of(tmp_path, b"a\n")

    def made_by(vocabulary, *modules):
        return text_lines.made_by(lines, "def", Configuration((), (), modules, str(vocabulary)))

    for name, content in (("a.model", b"one"), ("b.model", b"one"), ("c.model", b"two")):
        (tmp_path / name).write_bytes(content)
    interrupted(tmp_path / "out", ["a"], made_by(tmp_path / "a.model"))
    assert made_by(tmp_path / "a.model") == made_by(tmp_path / "b.model")
    for other in (made_by(tmp_path / "c.model"), made_by("bytes")):
        with pytest.raises(errors.UserError, match="another vocabulary"):
            text_lines.Output(tmp_path / "out", other)
    with pytest.raises(errors.UserError, match="another modules"):
        text_lines.Output(tmp_path / "out", made_by(tmp_path / "a.model", "mine"))


@given(st.integers(0, 12))
def test_wherever_it_is_cut_off_the_end_is_the_same(tmp_path_factory, size):
    folder = tmp_path_factory.mktemp("cut")
    interrupted(folder / "out", ["red", "", "blue", "x"])
    with open(folder / "out.part", "r+b") as file:
        file.truncate(size)
    done = write(folder / "out", ["red", "", "blue", "x"])
    assert (folder / "out").read_text() == "red\n\nblue\nx\n"
    assert done == "red\n\nblue\nx\n"[:size].count("\n")


def test_the_beginning_of_something_else_is_refused(tmp_path):
    interrupted(tmp_path / "out", ["a"])
    with pytest.raises(errors.UserError, match=r"another checkpoint\. Remove it"):
        text_lines.Output(tmp_path / "out", {**MADE_BY, "checkpoint": "x"})
    for content in ("[]", "{", ""):
        (tmp_path / "out.part.json").write_text(content)
        with pytest.raises(errors.UserError, match="begun with another command"):
            text_lines.Output(tmp_path / "out", MADE_BY)
    assert (tmp_path / "out.part").read_text() == "a\n"


def test_an_attempt_without_a_line_binds_nobody(tmp_path):
    interrupted(tmp_path / "out", [])
    assert write(tmp_path / "out", ["a"], {**MADE_BY, "checkpoint": "x"}) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_mistakes_are_found_before_the_model_is_loaded(tmp_path):
    (tmp_path / "in").write_text("a")
    given_ = str(tmp_path / "in")
    for source, output, message in (
        (str(tmp_path), str(tmp_path / "out"), "no such file"),
        (given_, given_, "the file exists. Remove it"),
        (given_, str(tmp_path), "is a folder"),
    ):
        with pytest.raises(errors.UserError, match=message), text_lines.opened(source):
            text_lines.check_output(output)
    text_lines.check_output(str(tmp_path / "out"))
