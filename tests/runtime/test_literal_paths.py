"""Folders with brackets, stars and question marks in their names mean themselves."""

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from small_runs import train

from mtf_synthesizer import errors
from mtf_synthesizer.cli import main
from mtf_synthesizer.files import saving
from mtf_synthesizer.runtime import literal_paths


def saver_of(*values, **options):
    """A session and a Saver of one variable."""
    variable = tf.get_variable("v", initializer=tf.constant(values, tf.float32))
    session = tf.Session()
    session.run(variable.initializer)
    return session, variable, tf.train.Saver(**options)


@pytest.mark.parametrize(
    ("folder", "neighbour"),
    [("seed[0]", "seed0"), ("a*", "ab"), ("a?", "ab"), ("a\\b", "ab"), ("a]", "a")],
)
@pytest.mark.parametrize("given", ["{}", "./{}", "{}/."], ids=["plain", "dot", "end"])
def test_a_saver_deletes_and_restores_only_its_own(tmp_path, monkeypatch, folder, neighbour, given):
    monkeypatch.chdir(tmp_path)
    for each in (folder, neighbour):
        (tmp_path / each).mkdir()
    with tf.Graph().as_default():
        session, variable, saver = saver_of(2, 3, 5, max_to_keep=1)
        others = tf.train.Saver(max_to_keep=3)
        for step in (2, 4):
            others.save(session, f"{neighbour}/model.ckpt", step)
        before = sorted((tmp_path / neighbour).iterdir())
        place = given.format(folder)
        for step in (2, 4):
            saver.save(session, f"{place}/model.ckpt", step)
        assert sorted((tmp_path / neighbour).iterdir()) == before
        assert not (tmp_path / folder / "model.ckpt-2.index").exists()
        path = tf.train.latest_checkpoint(place)
        session.run(variable.assign([0, 0, 0]))
        saver.restore(session, path)
        np.testing.assert_array_equal(session.run(variable), [2, 3, 5])
        for reader in (tf.train.load_checkpoint(place), tf.train.NewCheckpointReader(path)):
            np.testing.assert_array_equal(reader.get_tensor("v"), [2, 3, 5])
        tf.train.init_from_checkpoint(place, {"v": variable})
        session.run(variable.assign([0, 0, 0]))
        session.run(variable.initializer)
        np.testing.assert_array_equal(session.run(variable), [2, 3, 5])


def test_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a[1]/x.txt", "a1/x.txt", "b/c2/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert tf.gfile.Glob(f"{tmp_path}/a[1]/*") == [f"{tmp_path}/a[1]/x.txt"]
    assert tf.io.gfile.glob([f"{tmp_path}/a[1]/x*"]) == [f"{tmp_path}/a[1]/x.txt"]
    # A folder that is none by this name is still a pattern, below a literal one too.
    assert tf.gfile.Glob(f"{tmp_path}/b/c[2]/*") == [f"{tmp_path}/b/c2/x.txt"]
    assert literal_paths.pattern("a[1]/c[2]/*") == r"a\[1\]/c[2]/*"
    assert literal_paths.pattern("plain/*.txt") == "plain/*.txt"


def test_wrapping_twice_changes_nothing():
    restore = tf.train.Saver.restore
    literal_paths.install()
    assert tf.train.Saver.restore is restore


def test_a_remote_folder_is_refused_before_the_work():
    with pytest.raises(errors.UserError, match=r"ram://a\[1\]: TensorFlow takes \[ for a pat"):
        saving.check_folder("ram://a[1]")
    with pytest.raises(errors.UserError, match=r"ram://b\*: TensorFlow takes \*"):
        literal_paths.checkpoint("ram://b*/model.ckpt-1")
    assert literal_paths.checkpoint("ram://b/model.ckpt-1") == "ram://b/model.ckpt-1"


@pytest.mark.slow
def test_a_model_in_such_a_folder(tmp_path, capsys):
    """It is resumed, started from and averaged; its neighbour keeps its checkpoints."""
    options = {
        "params": ("save_checkpoints_steps = 1", "utils.run.keep_checkpoint_max = 2"),
        "attention_summaries": False,
    }
    folder, neighbour = tmp_path / "seed[0]", tmp_path / "seed0"
    neighbour.mkdir()
    for step in range(4):
        (neighbour / f"model.ckpt-{step}.index").touch()
    train(folder, steps=1, **options)
    assert train(folder, steps=2, **options)["step"] == 2
    assert len(list(neighbour.iterdir())) == 4
    assert sorted(path.name for path in folder.glob("*.index")) == [
        "model.ckpt-1.index",
        "model.ckpt-2.index",
    ]
    started = train(tmp_path / "next[1]", steps=1, init_checkpoint=folder, **options)
    assert started["step"] == 3
    mean = tmp_path / "mean[2]"
    command = ["checkpoints", "average", "--model_dir", folder, "--last", 2, "--output", mean]
    assert main.main([*map(str, command)]) == 0
    assert tf.train.load_checkpoint(str(mean)).get_tensor("global_step") == 2
    capsys.readouterr()
    export = ["export", "--model_dir", folder, "--mode", "greedy", "--output", tmp_path / "ex[1]"]
    assert main.main([*map(str, export)]) == 2
    assert "TensorFlow takes [ for a pattern" in capsys.readouterr().err
