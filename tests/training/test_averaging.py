"""Means of real checkpoints against NumPy, what they are good for, and training after pruning."""

import json

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from runner_tasks import PAIRS
from small_runs import MODULES, train

from mtf_synthesizer import errors
from mtf_synthesizer.cli import main
from mtf_synthesizer.model_folder import state
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.training import averaging

pytestmark = pytest.mark.slow

EVERY_STEP = ("save_checkpoints_steps = 1", "utils.run.keep_checkpoint_max = 4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Fixed random attention after 4 steps, with a checkpoint of each."""
    folder = tmp_path_factory.mktemp("runs") / "fix"
    train(folder, synthesizer="fix", steps=4, params=EVERY_STEP)
    return folder


@pytest.fixture(scope="module")
def averaged(trained, tmp_path_factory):
    output = tmp_path_factory.mktemp("averages") / "mean"
    arguments = ["checkpoints", "average", "--model_dir", trained, "--last", 3, "--output", output]
    assert main.main([*map(str, arguments)]) == 0
    return output


def values(folder, step):
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_every_variable_is_the_mean(trained, averaged):
    sources = [values(trained, step) for step in (2, 3, 4)]
    found = values(averaged, 4)
    assert set(found) == {name for name in sources[0] if "_slot_" not in name}
    assert len(found) < len(sources[0])
    assert found.pop("global_step") == 4
    moved = 0
    for name, value in found.items():
        a, b, c = (source[name].astype(np.float64) for source in sources)
        assert value.dtype == sources[0][name].dtype
        np.testing.assert_array_equal(value, ((a + b + c) / 3).astype(value.dtype), err_msg=name)
        moved += not np.array_equal(value, sources[2][name])
    assert moved > 5
    fixed = [name for name in found if name.endswith("/table")]
    assert fixed and all(np.array_equal(found[name], sources[0][name]) for name in fixed)


def test_of_what_it_is_the_mean(trained, averaged):
    record = json.loads((averaged / "average.json").read_text())
    assert [each["step"] for each in record["checkpoints"]] == [2, 3, 4]
    assert record["checkpoints"][0]["fingerprint"] == (
        ModelFolder.at(trained).choose(2)[0].fingerprint
    )
    assert tf.train.latest_checkpoint(str(averaged)).endswith("model.ckpt-4")


def test_it_is_evaluated_as_a_model(averaged):
    [row] = calls.evaluate(averaged, PAIRS, modules=MODULES, decode=False)["results"]
    assert (row["step"], row["examples"]) == (4, 5) and np.isfinite(row["loss"])
    assert (averaged / f"eval_{PAIRS}_validation.json").exists()


def test_no_training_goes_on_in_it(averaged):
    with pytest.raises(errors.UserError, match=r"an average of checkpoints.*--init_checkpoint"):
        train(averaged, synthesizer="fix", steps=8, params=EVERY_STEP)


def test_half_precision_is_rounded_once(tmp_path):
    """1 + 2^-8 is no bfloat16: the mean of 1, 1 and 1 + 2^-7 is rounded from float64."""
    ones = np.float32([1.0, 1.0, 1.0])
    saved = {3: ones, 5: ones, 7: np.float32([1 + 2**-7, 1.0, 4.0])}
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable("w", [3], tf.bfloat16, trainable=False)
        step = tf.get_variable("global_step", [], tf.int64)
        fed = tf.placeholder(tf.float32, [3])
        assign = variable.assign(tf.cast(fed, tf.bfloat16))
        saver = tf.train.Saver(max_to_keep=9)
        for number, value in saved.items():
            session.run([assign, step.assign(number)], {fed: value})
            saver.save(session, str(tmp_path / "model.ckpt"), global_step=number)
    found = ModelFolder.at(tmp_path).checkpoints
    averaging.average(ModelFolder(tmp_path), found, tmp_path / "mean")
    result = values(tmp_path / "mean", 7)
    assert result["global_step"] == 7
    assert result["w"].dtype == tf.bfloat16.as_numpy_dtype
    np.testing.assert_array_equal(result["w"].astype(np.float32), [1.0, 1.0, 2.0])


def write(folder, step, variables):
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in variables.items():
            tf.get_variable(name, initializer=np.float32(value))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(folder / "model.ckpt"), global_step=step)
    return ModelFolder.at(folder).choose(step)[0]


@pytest.mark.parametrize(
    "other, message",
    [
        ({"a": [1.0, 2.0], "b": [1.0]}, r"variable b is float32 \[1\] at step 3 and absent at"),
        ({}, r"variable a is absent at step 3 and float32 \[2\] at step 5"),
        ({"a": [1.0, 2.0, 3.0]}, r"variable a is float32 \[3\] at step 3 and float32 \[2\]"),
        ({"a": [np.nan, 1.0]}, "a has values that are not finite"),
    ],
)
def test_what_has_no_mean(tmp_path, other, message):
    chosen = [write(tmp_path, 3, {"z": 0.0} | other), write(tmp_path, 5, {"z": 0.0, "a": [1, 2]})]
    with pytest.raises(errors.UserError, match=message):
        averaging.average(ModelFolder(tmp_path), chosen, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def two(folder):
    return [write(folder, step, {"z": step}) for step in (3, 5)]


def test_an_average_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    chosen = two(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(state, "write", lambda *args: throw(KeyboardInterrupt))
        averaging.average(ModelFolder(tmp_path), chosen, tmp_path / "new" / "mean")
    assert not (tmp_path / "new").exists()
    averaging.average(ModelFolder(tmp_path), chosen, tmp_path / "new" / "mean")
    assert values(tmp_path / "new" / "mean", 5)["z"] == 4


def throw(error):
    raise error


def test_the_folder_of_a_run_that_has_not_begun_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(errors.UserError, match=r"--output .*/run exists and is not empty"):
        averaging.average(ModelFolder(tmp_path), two(tmp_path), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    "asked, message",
    [
        (["--last", 1], "needs at least 2"),
        (["--last", 7], "has 4 complete checkpoints"),
        (["--steps", "3"], "needs at least 2"),
        (["--steps", "3,99"], "no checkpoint '99'"),
    ],
)
def test_mistakes(trained, tmp_path, asked, message, capsys):
    output = tmp_path / "mean"
    arguments = ["checkpoints", "average", "--model_dir", trained, "--output", output, *asked]
    assert main.main([*map(str, arguments)]) == 2
    assert message in capsys.readouterr().err
    assert not output.exists()


def test_checkpoints_are_never_written_over(trained, averaged, capsys):
    before = values(averaged, 4)
    for output in (trained, averaged):
        arguments = ["checkpoints", "average", "--model_dir", trained, "--steps", "2,3"]
        assert main.main([*map(str, arguments), "--output", str(output)]) == 2
        assert "exists and is not empty" in capsys.readouterr().err
    assert all(np.array_equal(value, before[name]) for name, value in values(averaged, 4).items())


def test_training_goes_on_after_pruning(trained):
    """Its Saver removes the older of what it has written, and not what was kept as the best."""
    rows = [
        {"step": each.step, "task": PAIRS, "checkpoint": each.fingerprint, "metrics": {}, "loss": v}
        for each, v in zip(ModelFolder.at(trained).checkpoints, (3.0, 1.0, 2.0, 2.5), strict=True)
    ]
    report = {"task": PAIRS, "split": "validation", "results": rows}
    (trained / f"eval_{PAIRS}_validation.json").write_text(json.dumps(report))
    arguments = ["checkpoints", "prune", "--model_dir", trained, "--keep_last", 1, "--delete"]
    arguments += ["--keep_best", 1, "--metric", "loss"]
    assert main.main([*map(str, arguments)]) == 0
    assert [each.step for each in ModelFolder.at(trained).checkpoints] == [2, 4]
    train(trained, synthesizer="fix", steps=8, params=EVERY_STEP)
    assert [each.step for each in ModelFolder.at(trained).checkpoints] == [2, 5, 6, 7, 8]
