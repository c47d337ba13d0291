"""The loss of a run, on screen and in its file."""

import pathlib

import mtf_synthesizer.runtime.compat

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


def test_progress_without_a_terminal(capsys):
    shown = runtime_progress.Progress("rv", start=0, total=4)
    shown.update(1, loss=2.5, steps_per_second=2.0)
    shown.update(4, loss=1.5, steps_per_second=2.0)
    shown.close()
    assert capsys.readouterr().err == "rv: step 4/4, loss 1.500, 2.00 steps/s, 0:00 left\n"


def test_progress_with_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    shown = runtime_progress.Progress("rv", start=2, total=4)
    shown.update(4, loss=1.5, steps_per_second=2.0)
    shown.close()
    last = capsys.readouterr().err.rpartition("\r")[2]
    assert "rv: 100%" in last
    assert "4/4" in last
    assert "loss 1.500" in last
