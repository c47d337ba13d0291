"""Where training goes on after a damaged checkpoint was removed."""

import mtf_synthesizer.compat

import tensorflow.compat.v1 as tf

from mtf_synthesizer import checkpoint_state


def test_removed_files_lead_to_the_checkpoint_before(tmp_path):
    folder = tmp_path / "model"
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.Variable(0, name="step")
        session.run(step.initializer)
        saver = tf.train.Saver()
        for number in (0, 7, 9):
            session.run(step.assign(number))
            saver.save(session, str(folder / "model.ckpt"), global_step=number)
        checkpoint_state.point_to_complete(folder)
        assert tf.train.latest_checkpoint(str(folder)).endswith("ckpt-9")
        for path in folder.glob("model.ckpt-9.data*"):  # of the last one, only a part is left
            path.unlink()
        checkpoint_state.point_to_complete(folder)
        latest = tf.train.latest_checkpoint(str(folder))
        assert latest.endswith("ckpt-7")
        saver.restore(session, latest)
        assert session.run(step) == 7


def test_a_folder_without_checkpoints_is_left_alone(tmp_path):
    checkpoint_state.point_to_complete(tmp_path)
    assert not list(tmp_path.iterdir())
