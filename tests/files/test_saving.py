"""Files that can't be written are told before the work."""

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import gin_path, main
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference import predict


def test_files_are_replaced_whole(tmp_path):
    path = tmp_path / "new" / "x.json"
    saving.write_json(path, {"a": "é"})
    saving.write_json(path, {"b": 1})
    assert path.read_text("utf-8") == '{\n  "b": 1\n}\n'
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_what_can_not_be_written_leaves_nothing(tmp_path):
    (tmp_path / "x.json" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        saving.write_json(tmp_path / "x.json", {"a": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_what_can_be_written(tmp_path):
    saving.check_file(tmp_path / "new" / "folder" / "x")
    with pytest.raises(errors.UserError, match="is a folder"):
        saving.check_file(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(errors.UserError, match=r"file is not a folder"):
        saving.check_file(tmp_path / "file" / "x")


def test_the_command_line_names_what_it_could_not_write(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(
        gin_path, "run", lambda args: saving.write_text(tmp_path / "file" / "x", "")
    )
    assert main.main(["gin-path"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mtf_synthesizer: ") and "file: " in error
    assert "Traceback" not in error


def test_predictions_replace_nothing_but_predictions(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(errors.UserError, match="does not hold predictions"):
        predict._check_replaceable(path)
    path.write_bytes(b"\n\x07<pad>")  # as a SentencePiece model begins
    with pytest.raises(errors.UserError, match="does not hold predictions"):
        predict._check_replaceable(path)
    path.write_text('\n{"task": "t", "prediction": "x"}\n')
    predict._check_replaceable(path)
    predict._check_replaceable(tmp_path / "absent")
