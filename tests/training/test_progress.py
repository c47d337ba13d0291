"""The loss of a run, on screen and in its file."""

import pathlib
import re
import time

import mtf_synthesizer.runtime.compat

import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer.model_folder import loss_log
from mtf_synthesizer.runtime import progress as runtime_progress
from mtf_synthesizer.training import progress


def test_loss_log_rewinds(tmp_path):
    log = loss_log.LossLog(tmp_path / "run")
    log.rewind(0)
    for step in (10, 20, 30):
        log.append({"step": step, "loss": 1.0})
    with log.path.open("a") as file:
        file.write('{"step": 40, "lo')  # interrupted
    assert [row["step"] for row in log.read()] == [10, 20, 30]
    log.rewind(20)
    log.append({"step": 30, "loss": 2.0})
    assert [row["loss"] for row in log.read()] == [1.0, 1.0, 2.0]
    assert [path.name for path in pathlib.Path(log.path.parent).iterdir()] == ["loss.jsonl"]


def test_the_loss_on_screen_is_that_of_the_file(tmp_path, capsys):
    log = loss_log.LossLog(tmp_path / "run")
    with tf.Graph().as_default():
        step = tf.train.create_global_step()
        loss = tf.cast(tf.assign_add(step, 1), tf.float32)  # 1, 2, 3: means 1.5 and 3
        hook = progress.training_hook(log, "rv", total=3, every=2, shown=True, loss=loss)
        with tf.train.MonitoredSession(hooks=[hook]) as session:
            for _ in range(3):
                session.run(loss)
    assert [row["loss"] for row in log.read()] == [1.5, 3.0]
    assert "step 3/3, loss 3.000" in capsys.readouterr().err


def test_the_loss_on_screen_is_a_mean_until_the_next_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(runtime_progress, "SECONDS_BETWEEN_LINES", 0.0)
    with tf.Graph().as_default():
        step = tf.train.create_global_step()
        loss = tf.cast(tf.assign_add(step, 1), tf.float32)
        log = loss_log.LossLog(tmp_path / "run")
        hook = progress.training_hook(log, "rv", total=3, every=3, shown=True, loss=loss)
        with tf.train.MonitoredSession(hooks=[hook]) as session:
            for _ in range(3):
                session.run(loss)
    shown = [line.split("loss ")[1].split(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["1.000", "1.500", "2.000"]
    assert log.read()[-1]["loss"] == 2.0


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def test_progress_without_a_terminal(capsys, clock):
    """The graph takes 60 s, then a step 2 s."""
    shown = runtime_progress.Progress("rv", start=0, total=100)
    for step in range(1, 101):
        clock[0] += 60 if step == 1 else 2
        shown.update(step, "loss 2.500")
    shown.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "rv: step 1/100, loss 2.500",
        "rv: step 16/100, loss 2.500, 0.50 steps/s, 2:48 left",
        "rv: step 31/100, loss 2.500, 0.50 steps/s, 2:18 left",
    ]
    assert lines[-1] == "rv: step 100/100, loss 2.500, 0.50 steps/s, 0:00 left"


def test_progress_with_a_terminal(capsys, clock, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    shown = runtime_progress.Progress("rv", start=2, total=102)
    clock[0] += 60
    shown.update(3, "loss 1.500")
    for step in range(4, 103):
        clock[0] += 2
        shown.update(step, "loss 1.500")
    shown.close()
    drawn = capsys.readouterr().err.split("\r")
    estimates = [re.search(r"<([\d:]+|\?)", each)[1] for each in drawn if "<" in each]
    assert estimates[:3] == ["?", "?", "03:16"]
    assert "rv: 100%" in drawn[-1] and "102/102" in drawn[-1] and "loss 1.500" in drawn[-1]


def test_progress_of_lines_without_a_terminal(capsys, clock):
    shown = runtime_progress.Progress("out.txt", start=8, total=24, unit="line")
    for done in (16, 24):
        clock[0] += 4
        shown.update(done)
    shown.close()
    assert capsys.readouterr().err == "out.txt: line 24/24, 2.00 lines/s, 0:00 left\n"
