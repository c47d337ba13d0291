"""An empty folder that a process was killed in while filling it, without TensorFlow."""

import os
import subprocess
import sys

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.files import new_folder

KILLED = """
import os, signal, sys
from mtf_synthesizer.files import new_folder
with new_folder.create(sys.argv[1]) as folder:
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed(tmp_path):
    place = tmp_path / "a.b+"
    place.mkdir()
    subprocess.run([sys.executable, "-c", KILLED, place])
    (place / f"a.b+.{os.getpid()}.tmp").mkdir()  # of a process that had our number
    assert len(list(place.glob("*/half"))) == 1
    new_folder.check("--output", place)
    with new_folder.create(place) as folder:
        (folder / "whole").touch()
    assert [each.name for each in place.iterdir()] == ["whole"]


def test_all_else_in_a_folder_is_kept(tmp_path):
    for name in (f"m.{os.getppid()}.tmp", "n.99999999999999999999.tmp", "m.1x.tmp", "m.tmp"):
        entry = tmp_path / name[:5] / "m" / name
        entry.mkdir(parents=True)
        with pytest.raises(errors.UserError, match="exists and is not empty"):
            new_folder.check("--output", entry.parent)
        with new_folder.create(entry.parent):
            assert entry.is_dir()
    file = tmp_path / "m" / "m.99999999999999999999.tmp"
    file.parent.mkdir()
    file.touch()
    with pytest.raises(errors.UserError, match="exists and is not empty"):
        new_folder.check("--output", file.parent)


def test_what_was_left_beside_a_new_folder_is_removed(tmp_path):
    place = tmp_path / "m"
    subprocess.run([sys.executable, "-c", KILLED, place])
    assert len(list(tmp_path.glob("m.*.tmp/half"))) == 1
    new_folder.check("--output", place)
    with new_folder.create(place) as folder:
        (folder / "whole").touch()
    assert [each.name for each in tmp_path.iterdir()] == ["m"]
    assert [each.name for each in place.iterdir()] == ["whole"]


@pytest.mark.parametrize("is_there", [False, True])
def test_two_processes_never_make_one_folder(tmp_path, is_there):
    place = tmp_path / "m"
    if is_there:
        place.mkdir()
    with new_folder.create(place) as folder:
        (folder / "first").touch()
        with pytest.raises(errors.UserError, match=f"m is in use: process {os.getpid()} on "):
            new_folder.check("--output", place)
        with pytest.raises(errors.UserError, match="m is in use"), new_folder.create(place):
            pytest.fail("made twice")
    assert [each.name for each in place.iterdir()] == ["first"]


def test_a_folder_that_another_process_filled_meanwhile_is_kept(tmp_path):
    written = pytest.raises(errors.UserError, match="m was written by another process")
    with written, new_folder.create(tmp_path / "m") as folder:
        (folder / "mine").touch()
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "theirs").touch()
    assert [str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")] == ["m", "m/theirs"]
