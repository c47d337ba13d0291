"""One run in a model folder at a time."""

import os
import signal
import subprocess
import sys

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import list as listing
from mtf_synthesizer.cli import main, t5
from mtf_synthesizer.model_folder.folder import LOCK, ModelFolder
from mtf_synthesizer.runtime import signals

HOLDER = """
import pathlib, sys, time
from mtf_synthesizer.model_folder.folder import ModelFolder
with ModelFolder(pathlib.Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_in_use_is_refused_until_its_process_ends(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "m")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(errors.UserError, match=rf"in use: process {holder.pid} on "),
            ModelFolder(tmp_path / "m").lock(),
        ):
            pytest.fail("held twice")
        holder.send_signal(signal.SIGKILL)
    with ModelFolder(tmp_path / "m").lock():
        written = (tmp_path / "m" / LOCK).read_text()
        assert written.startswith(f"process {os.getpid()} on ")
    with ModelFolder(tmp_path / "m").lock():
        pass


def test_a_run_that_fails_before_its_first_file_leaves_no_folder(tmp_path):
    new = tmp_path / "runs" / "m"
    with pytest.raises(errors.UserError), ModelFolder(new).lock():
        assert [path.name for path in new.iterdir()] == [LOCK]
        raise errors.UserError("unknown task")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_file_stays_beside_the_files_of_a_run(tmp_path):
    with ModelFolder(tmp_path / "m").lock():
        (tmp_path / "m" / "loss.jsonl").touch()
    assert {path.name for path in (tmp_path / "m").iterdir()} == {LOCK, "loss.jsonl"}


def test_termination_has_an_exit_status_of_its_own(monkeypatch, capsys):
    def terminated(args):
        raise signals.Terminated("m: saved at step 3")

    monkeypatch.setattr(listing, "run", terminated)
    assert main.main(["list"]) == 75
    assert "saved at step 3; run the same command again to resume" in capsys.readouterr().err


def test_t5_is_refused_too_where_it_would_train(tmp_path, capsys):
    given = ["--model_dir", str(tmp_path), "--gin_file=models/bi_v1.gin"]
    with ModelFolder(tmp_path).lock():
        assert main.main(["t5", *given]) == main.USER_ERROR
        assert "in use: process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "trains"),
    [
        ([], True),
        (["--gin_file=eval.gin"], False),
        (["--gin_file=eval.gin", "--gin_param=run.mode = 'train'"], True),
        (["--gin_param", "utils.run.mode = 'infer'"], False),
        (["--use_model_api", "--mode=finetune"], True),
        (["--use_model_api", "--mode=eval"], False),
    ],
)
def test_when_t5_trains(more, trains):
    assert t5.trains(t5._gin_flags(["--gin_file=models/bi_v1.gin", *more])) == trains
