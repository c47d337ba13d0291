"""Damaged files and the like end in a sentence, not in a page about nodes of a graph."""

import errno
import os
import pathlib

import mtf_synthesizer.runtime.compat

import gin
import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer import errors
from mtf_synthesizer.cli import list as listing
from mtf_synthesizer.cli import main
from mtf_synthesizer.runtime import failures


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of one variable, and a saver for it."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("x", [101], tf.float32)
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        path = saver.save(session, str(tmp_path / "model.ckpt"), 7, write_meta_graph=False)
        yield path, lambda: saver.restore(session, path)


def failure(function):
    with pytest.raises(Exception) as error:
        function()
    return failures.describe(error.value)


@pytest.mark.parametrize("file, size", [("index", 20), ("data-00000-of-00001", 11)])
def test_a_checkpoint_that_is_cut_off(checkpoint, file, size):
    path, restore = checkpoint
    file = pathlib.Path(f"{path}.{file}")
    file.write_bytes(file.read_bytes()[:size])
    assert failure(restore).startswith("a checkpoint can't be read: its files are damaged")


def test_a_record_that_is_cut_off(tmp_path):
    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"some text")
    path.write_bytes(path.read_bytes()[:-3])
    with tf.Graph().as_default(), tf.Session() as session:
        record = tf.data.make_one_shot_iterator(tf.data.TFRecordDataset(str(path))).get_next()
        said = failure(lambda: session.run(record))
    assert said.startswith("a data file can't be read")
    assert "data prepare --overwrite" in said
    assert "truncated record" in said


def test_a_file_that_a_task_names_and_that_is_missing(tmp_path):
    path = tmp_path / "pairs of lines.tsv"
    with tf.Graph().as_default(), tf.Session() as session:
        line = tf.data.make_one_shot_iterator(tf.data.TextLineDataset(str(path))).get_next()
        said = failure(lambda: session.run(line))
    assert said.startswith(f"{path}: no such file. Does a task or binding name another place?")


def test_a_full_disk_is_named(tmp_path):
    path = tmp_path / "model.ckpt-5_temp" / "part"
    mounted = next(str(folder) for folder in path.parents if os.path.ismount(folder))
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what = os.strerror(number)
        for error in (
            OSError(number, what, str(path)),
            tf.errors.ResourceExhaustedError(
                None, None, f"{path}; {what}\n\t [[{{{{node save}}}}]]"
            ),
            tf.errors.OutOfRangeError(None, None, f"Failed: {path}; {what}"),
        ):
            said = failures.describe(error)
            assert said.startswith(f"the disk mounted at {mounted} is full ({path}: {what})")
    elsewhere = tf.errors.ResourceExhaustedError(None, None, "gs://b/m; Disk quota exceeded")
    assert failures.describe(elsewhere).startswith("the disk is full (gs://b/m: Disk quota")


def test_memory_that_is_exhausted():
    said = failures.describe(tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"))
    assert said.startswith("memory is exhausted: train a smaller model")
    assert "OOM when allocating" in said


def test_a_value_of_another_type():
    @gin.configurable(module="failures_test")
    def half(number):
        return number / 2

    gin.bind_parameter("failures_test.half.number", "four")
    try:
        said = failure(half)
    finally:
        gin.clear_config()
    assert said.startswith("TypeError: unsupported operand")
    assert "Does a binding give half a value" in said


def test_a_fault_of_the_program_stays_one(monkeypatch):
    assert failures.describe(KeyError("x")) is None
    monkeypatch.setattr(listing, "run", lambda args: {}["x"])
    with pytest.raises(KeyError):
        main.main(["list"])


def test_the_command_line_says_it_and_no_more(monkeypatch, capsys):
    def broken(args):
        raise tf.errors.DataLossError(None, None, "truncated record at 3")

    monkeypatch.setattr(listing, "run", broken)
    assert main.main(["list"]) == main.USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert "truncated" in line
    assert main.main(["list", "--verbose"]) == main.USER_ERROR
    assert "Traceback" in capsys.readouterr().err


def test_a_configuration_that_is_cut_off():
    from mtf_synthesizer.config import request
    from mtf_synthesizer.upstream import session as upstream_session

    wanted = request.Configuration((), (), ())
    with (
        pytest.raises(errors.UserError, match="incomplete: Required bindings for `tpu_mesh_shape`"),
        upstream_session.configured(wanted, verbose=False),
    ):
        gin.get_configurable("tpu_mesh_shape")()
