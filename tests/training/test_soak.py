"""The soak command notices every kind of damage; `make check-soak` runs it."""

import json
import pathlib
import shutil
import sys

import mtf_synthesizer.runtime.compat

import pytest
import tensorflow.compat.v1 as tf

CHECKS = pathlib.Path(__file__).resolve().parent.parent / "checks"
pytestmark = pytest.mark.skipif(not CHECKS.is_dir(), reason="not a checkout")
sys.path.append(str(CHECKS))


@pytest.fixture
def folder(tmp_path):
    """A pipeline's folder with a model of two checkpoints and five losses, checked once."""
    import soak_checks

    model = tmp_path / soak_checks.PRETRAIN
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("x", [11], tf.float32)
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver()
        for step in (2, 4):
            saver.save(session, str(model / "model.ckpt"), step, write_meta_graph=False)
    write_losses(model, [1, 2, 3, 4, 5])
    (model / "run.json").write_text("{}")
    watched = soak_checks.Folder(tmp_path)
    assert "2 checkpoints" in watched.check()
    return watched


def write_losses(model, steps, start=9.0):
    rows = [{"step": step, "loss": start - step} for step in steps]
    (model / "loss.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def damage_values(model):
    data = model / "model.ckpt-6.data-00000-of-00001"
    data.write_bytes(bytes(44))
    (model / "model.ckpt-6.index").write_bytes((model / "model.ckpt-4.index").read_bytes())


def damage_last(model):
    """The values of a checkpoint that is complete by its files."""
    (model / "model.ckpt-6.data-00000-of-00001").write_bytes(bytes(44))
    shutil.copy(model / "model.ckpt-4.index", model / "model.ckpt-6.index")


# What goes wrong in a model's folder -> the word that the report has of it.
WRONG = {
    "checkpoint gone": (lambda m: (m / "model.ckpt-2.index").unlink(), "are gone"),
    "values damaged": (damage_last, "ckpt-6 can't be read"),
    "state": (lambda m: (m / "checkpoint").write_text('model_checkpoint_path: "x"'), "names"),
    "saved step forgotten": (lambda m: write_losses(m, [1, 2, 3]), "step 4 .* loss is gone"),
    "step twice": (lambda m: write_losses(m, [1, 2, 3, 4, 4]), "steps are"),
    "other loss": (lambda m: write_losses(m, [1, 2, 3, 4], 8.0), "had the loss 8.0, now 7.0"),
    "other record": (lambda m: (m / "run.json").write_text('{"seed": 1}'), "has changed"),
    "record gone": (lambda m: (m / "run.json").unlink(), "are gone"),
    "half of JSON": (lambda m: (m / "x.json").write_text('{"a": '), "x.json can't be read"),
    "half of a line": (lambda m: (m / "x.jsonl").write_text('{}\n{"a'), "x.jsonl can't be read"),
    "half of a configuration": (
        lambda m: (m / "operative_config.gin").write_text("run.train_steps = 3\nx = ["),
        "config.gin can't be read",
    ),
    "half of a zip": (lambda m: (m / "x.zip").write_bytes(b"PK\3\4"), "x.zip can't be read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_notices(folder, name):
    import soak_checks

    wrong, word = WRONG[name]
    wrong(folder.path / soak_checks.PRETRAIN)
    with pytest.raises(soak_checks.Violation, match=word):
        folder.check()


def test_a_step_that_is_made_again_is_no_loss(folder):
    import soak_checks

    write_losses(folder.path / soak_checks.PRETRAIN, [1, 2, 3, 4])  # 5 was not saved
    folder.check()
