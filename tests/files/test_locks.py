"""Locks of outputs and lock files, between processes and between users; without TensorFlow."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.files import locks
from mtf_synthesizer.inference import report
from mtf_synthesizer.model_folder.folder import LOCK, ModelFolder

NOBODY = 65534
HOLDER = """
import sys, time
from mtf_synthesizer.files import locks
with locks.hold_output(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_an_output_has_one_writer_until_its_process_ends(tmp_path):
    output = tmp_path / "new" / "out"
    command = [sys.executable, "-c", HOLDER, str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(errors.UserError, match=rf"out is in use: process {holder.pid} on "):
            locks.check_output_is_free(output)
        holder.kill()
    locks.check_output_is_free(output)
    with locks.hold_output(output):
        output.touch()
    assert [path.name for path in output.parent.iterdir()] == ["out"]


def test_nothing_is_left_of_a_command_that_wrote_nothing(tmp_path):
    locks.check_output_is_free(tmp_path / "a" / "b" / "out")
    assert list(tmp_path.iterdir()) == []


def test_different_outputs_of_a_folder_do_not_wait_for_each_other(tmp_path):
    with locks.hold_output(tmp_path / "a"), locks.hold_output(tmp_path / "b"):
        assert {path.name for path in tmp_path.iterdir()} == {".a.lock", ".b.lock"}
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_removed_while_it_was_awaited_is_no_lock(tmp_path, monkeypatch):
    """The first holder removes its file: who waited for that file must open the next one."""
    taken = []
    real = locks._lock

    def remove_first(file, operation):
        real(file, operation)
        taken.append(file)
        if len(taken) == 1:
            (tmp_path / ".out.lock").unlink()

    monkeypatch.setattr(locks, "_lock", remove_first)
    with locks.hold_output(tmp_path / "out"):
        assert len(taken) == 2
        monkeypatch.setattr(locks, "_lock", real)
        with pytest.raises(errors.UserError, match="in use"):
            locks.check_output_is_free(tmp_path / "out")


@contextlib.contextmanager
def another_user():
    """A user who may not write our files: only root can become one; we then do without rights."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_a_report_in_a_folder_that_is_not_ours_is_refused_before_the_work(shared):
    shared.chmod(0o555)
    elsewhere = pytest.raises(errors.UserError, match=r"no permission .* Give another .* --output")
    with another_user(), elsewhere:
        report.check_output(ModelFolder.at(shared), "t", "validation", None)
    with tempfile.TemporaryDirectory() as other:
        pathlib.Path(other).chmod(0o777)
        with another_user():
            place = str(pathlib.Path(other, "report.json"))
            report.check_output(ModelFolder.at(shared), "t", "validation", place)


@pytest.fixture
def shared():
    """A folder that every user may write; pytest's own may be entered by its user alone."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o777)
        yield pathlib.Path(folder)


def test_the_lock_file_of_a_colleague_locks_nobody_out(shared):
    with ModelFolder(shared).lock():
        pass
    (shared / LOCK).chmod(0o444)  # as an earlier release left it, to other users
    with another_user():
        ModelFolder(shared).check_free()
        with ModelFolder(shared).lock():
            assert (shared / LOCK).read_text().startswith(f"process {os.getpid()} on ")
            with pytest.raises(errors.UserError, match="in use: process"):
                ModelFolder(shared).check_free()
    with (
        ModelFolder(shared).lock(),
        pytest.raises(errors.UserError, match="in use"),
        ModelFolder(shared).lock(),
    ):
        pytest.fail("held twice")


def test_whoever_may_write_the_folder_may_write_the_lock_file(shared):
    for mode in (0o777, 0o750, 0o770):
        shared.chmod(mode)
        with ModelFolder(shared).lock():
            assert (shared / LOCK).stat().st_mode & 0o777 == mode & 0o666


def test_a_lock_file_that_another_user_may_not_read_is_named(shared):
    with ModelFolder(shared).lock():
        pass
    (shared / LOCK).chmod(0)
    with (
        another_user(),
        pytest.raises(errors.UserError, match=r"run\.lock can't be opened"),
    ):
        ModelFolder(shared).check_free()


def test_a_temporary_folder_is_held_without_a_file(tmp_path):
    with locks.hold_folder(tmp_path):
        assert locks.is_held(tmp_path)
        assert list(tmp_path.iterdir()) == []
    assert not locks.is_held(tmp_path)
