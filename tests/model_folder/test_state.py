"""Where training goes on after a damaged checkpoint was removed."""

import re
import shutil

import mtf_synthesizer.runtime.compat

import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer.model_folder.folder import ModelFolder


def test_removed_files_lead_to_the_checkpoint_before(tmp_path):
    folder = tmp_path / "model"
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.Variable(0, name="step")
        session.run(step.initializer)
        saver = tf.train.Saver()
        for number in (0, 7, 9):
            session.run(step.assign(number))
            saver.save(session, str(folder / "model.ckpt"), global_step=number)
        ModelFolder(folder).repair()
        assert tf.train.latest_checkpoint(str(folder)).endswith("ckpt-9")
        for path in folder.glob("model.ckpt-9.data*"):  # of the last one, only a part is left
            path.unlink()
        ModelFolder(folder).repair()
        latest = tf.train.latest_checkpoint(str(folder))
        assert latest.endswith("ckpt-7")
        saver.restore(session, latest)
        assert session.run(step) == 7


def saved(folder, *steps, kept=3):
    """Checkpoints as TensorFlow saves them, with whole paths in its file."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(0, name="step")
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(max_to_keep=kept)
        for step in steps:
            saver.save(session, str(folder / "model.ckpt"), global_step=step)


def test_a_copied_folder_has_nothing_to_do_with_its_original(tmp_path):
    """A Saver deletes what the file lists: of the original, if it is not rewritten."""
    saved(tmp_path / "a", 3, 5)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert str(tmp_path / "a") in (tmp_path / "b" / "checkpoint").read_text()
    ModelFolder(tmp_path / "b").repair()
    state = tf.train.get_checkpoint_state(str(tmp_path / "b"))
    expected = [str(tmp_path / "b" / f"model.ckpt-{step}") for step in (3, 5)]
    assert list(state.all_model_checkpoint_paths) == expected
    assert state.model_checkpoint_path == expected[-1]


@pytest.mark.parametrize("content", [None, b"", b"\xff\0", b'model_checkpoint_path: "model.ck'])
def test_training_goes_on_without_the_file(tmp_path, content):
    """TensorFlow would begin anew, over the checkpoints that are there."""
    saved(tmp_path, 3, 5)
    (tmp_path / "checkpoint").unlink()
    if content is not None:
        (tmp_path / "checkpoint").write_bytes(content)
    ModelFolder(tmp_path).repair()
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-5")


def set_back(folder, step):
    """What a user does who wants to go on from an earlier checkpoint."""
    file = folder / "checkpoint"
    first, *others = file.read_text().splitlines()
    file.write_text("\n".join([re.sub(r"ckpt-\d+", f"ckpt-{step}", first), *others]))


@pytest.mark.parametrize("kept", [None, 3])
def test_a_kill_before_the_file_is_replaced_loses_no_checkpoint(tmp_path, kept):
    saved(tmp_path, 3, 5, kept=kept)
    before = (tmp_path / "checkpoint").read_bytes()
    saved(tmp_path, 8, kept=kept)
    (tmp_path / "checkpoint").write_bytes(before)
    listed = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
    assert ModelFolder(tmp_path).repair().step == 8
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert state.model_checkpoint_path == str(tmp_path / "model.ckpt-8")
    assert [*state.all_model_checkpoint_paths] == [*listed, state.model_checkpoint_path]


def test_a_folder_that_was_set_back_stays_so(tmp_path):
    saved(tmp_path, 3, 5, 8)
    set_back(tmp_path, 5)
    assert ModelFolder(tmp_path).repair().step == 5
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-5")


def test_a_folder_without_checkpoints_is_left_alone(tmp_path):
    assert ModelFolder(tmp_path).repair() is None
    assert not list(tmp_path.iterdir())


def test_what_is_left_of_an_unfinished_checkpoint_is_removed(tmp_path):
    left = tmp_path / "model.ckpt-7_temp" / "part-00000-of-00001.data-00000-of-00001"
    left.parent.mkdir()
    left.touch()
    (tmp_path / "model.ckpt-3.index").touch()
    ModelFolder(tmp_path).repair()
    assert [path.name for path in tmp_path.iterdir()] == ["model.ckpt-3.index"]
