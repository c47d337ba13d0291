"""A run that goes on from a checkpoint computes what it would have computed without the stop."""

import json

import mtf_synthesizer.runtime.compat

import calls
import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from runner_tasks import BOTH
from small_runs import MODULES, train

from mtf_synthesizer import errors
from mtf_synthesizer.model_folder import loss_log, run_file
from mtf_synthesizer.upstream import repeatable, variables

ROWS, COLUMNS = 6, 5


@pytest.fixture(autouse=True)
def graphs():
    """As in every training: TensorFlow's first kind of variables."""
    tf.disable_v2_behavior()


def drawn(seed, steps, mesh_shape="", layout="", distribution=mtf.random_uniform):
    """What two operations of a graph draw in each of these steps: [steps, 2, rows, columns]."""
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        step = tf.train.get_or_create_global_step()
        graph = mtf.Graph()
        mesh = mtf.Mesh(graph, "m")
        shape = mtf.Shape([mtf.Dimension("rows", ROWS), mtf.Dimension("columns", COLUMNS)])
        tensors = [distribution(mesh, shape, dtype=tf.float32) for _ in range(2)]
        devices = ["cpu:0"] * mtf.convert_to_shape(mesh_shape).size
        placement = mtf.placement_mesh_impl.PlacementMeshImpl(mesh_shape, layout, devices)
        with repeatable.random_by_step():
            lowering = mtf.Lowering(graph, {mesh: placement})
            values = [lowering.export_to_tf_tensor(tensor) for tensor in tensors]
        with tf.Session() as session:
            found = []
            for number in steps:
                session.run(tf.assign(step, number))
                found.append(session.run(values))
            return np.array(found)


def test_numbers_follow_from_seed_operation_and_step():
    first = drawn(3, [0, 1, 2])
    np.testing.assert_array_equal(drawn(3, [2, 0, 0]), first[[2, 0, 0]])
    flat = first.reshape(6, -1)
    assert len({tuple(row) for row in flat}) == 6  # other numbers in each step and operation
    assert (drawn(4, [0]) != first[:1]).all()
    assert flat.min() >= 0 and flat.max() < 1
    assert flat.mean() == pytest.approx(0.5, abs=0.1)  # 180 numbers: 0.02 is a standard error


def test_normal_numbers_too():
    values = drawn(3, range(20), distribution=mtf.random_normal)
    assert values.std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(drawn(3, [7], distribution=mtf.random_normal)[0], values[7])


def test_devices_agree_about_what_they_share():
    """Split by rows, the two halves differ; not split, both devices draw the same."""
    split = drawn(3, [1], "x:2", "rows:x")[0, 0]
    assert (split[: ROWS // 2] != split[ROWS // 2 :]).all()
    with tf.Graph().as_default():
        tf.set_random_seed(3)
        tf.train.get_or_create_global_step()
        placement = mtf.placement_mesh_impl.PlacementMeshImpl("x:2", "", ["cpu:0"] * 2)
        with repeatable.random_by_step():
            shape = mtf.Shape([mtf.Dimension("rows", ROWS)])
            slices = placement.random(shape, tf.random.uniform, {}).tensor_list
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            np.testing.assert_array_equal(*session.run(slices))


def test_the_turns_of_a_loop_draw_different_numbers():
    with tf.Graph().as_default(), repeatable.random_by_step():
        tf.set_random_seed(3)
        tf.train.get_or_create_global_step()
        placement = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
        shape = mtf.Shape([mtf.Dimension("rows", ROWS)])

        def turn(i, rows):
            row = placement.random(shape, tf.random.uniform, {}).tensor_list[0]
            return i + 1, rows.write(i, row)

        rows = tf.TensorArray(tf.float32, 3, element_shape=[ROWS])
        _, rows = tf.while_loop(lambda i, rows: i < 3, turn, (0, rows))
        with tf.Session() as session:
            found = session.run([tf.global_variables_initializer(), rows.stack()])[1]
    assert len({tuple(row) for row in found}) == 3


def test_mesh_draws_as_before_afterwards():
    before = mtf.placement_mesh_impl.PlacementMeshImpl.random
    with pytest.raises(KeyError), repeatable.random_by_step():
        raise KeyError
    assert mtf.placement_mesh_impl.PlacementMeshImpl.random is before


def test_variables_change_when_all_is_computed():
    with tf.Graph().as_default():
        step = tf.train.get_or_create_global_step()
        weights = tf.get_variable("w", [6], tf.float32, tf.ones_initializer())
        seen = tf.get_variable("seen", [], tf.float32, tf.zeros_initializer())
        looked = tf.assign(seen, tf.reduce_sum(weights) + tf.cast(step, tf.float32))
        change = tf.assign_sub(weights, tf.fill([6], 0.5))
        count = tf.assign_add(step, 1)
        with tf.device("cpu:0"):
            group = tf.group(change, tf.group(count, tf.no_op()), looked)
        repeatable.update_last(group)
        waited = [set(each.op.control_inputs) for each in (looked, change, count)]
        (computed,) = set.intersection(*waited)
        assert looked.op.inputs[1].op in computed.control_inputs
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for number in range(3):
                session.run(group)
                assert session.run([step, seen]) == [number + 1, 6 - 3 * number + number]


def killed_after(step, monkeypatch):
    """Lets training end as if killed once it has made a step."""
    append = loss_log.LossLog.append

    def dies(log, row):
        append(log, row)
        if row["step"] == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(loss_log.LossLog, "append", dies)


@pytest.mark.slow
def test_the_losses_are_those_of_a_run_without_a_stop(tmp_path, monkeypatch):
    """With dropout, with examples of two tasks in random order, and begun from another run."""
    options = {"task": BOTH, "params": ["dropout_rate = 0.3"]}
    train(tmp_path / "start", steps=1, **options)
    options |= {"steps": 7, "init_checkpoint": tmp_path / "start"}
    whole = train(tmp_path / "whole", **options)["losses"]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        killed_after(7, patched)  # checkpoints are of steps 1, 4 and 7, which is not reached
        train(tmp_path / "stopped", **options)
    saved = tmp_path / "stopped" / "model.ckpt-4.index"
    written = saved.stat().st_mtime_ns
    stopped = train(tmp_path / "stopped", **options)
    assert saved.stat().st_mtime_ns == written  # not once more, which a kill could undo
    assert (stopped["step"], stopped["trained"]) == (8, 4)
    assert [(row["step"], row["loss"]) for row in stopped["losses"]] == [
        (row["step"], row["loss"]) for row in whole
    ]
    assert len({row["loss"] for row in whole}) == 7


@pytest.mark.slow
def test_a_run_of_an_earlier_release_goes_on_as_it_is_saved(tmp_path):
    """In bfloat16; a run that starts from it has all digits."""
    rounded = ["utils.get_variable_dtype.master_dtype = 'bfloat16'"]
    train(tmp_path / "old", steps=1, params=rounded)
    record = tmp_path / "old" / run_file.RECORD
    asked = json.loads(record.read_text())
    record.write_text(json.dumps(asked | {"gin_params": asked["gin_params"][:-1]}))
    assert variables.is_rounded(str(tmp_path / "old" / "model.ckpt-1"))
    assert train(tmp_path / "old", steps=2)["trained"] == 1
    assert variables.is_rounded(str(tmp_path / "old" / "model.ckpt-2"))
    exact = {"params": ["utils.get_variable_dtype.master_dtype = 'float32'"], "steps": 3}
    record.unlink()
    with pytest.raises(errors.UserError, match="ckpt-2 is saved as bfloat16, which can't be read"):
        train(tmp_path / "old", **exact)
    start = {"init_checkpoint": tmp_path / "old"}
    train(tmp_path / "new", steps=1, **start)
    old, new = (
        tf.train.load_checkpoint(str(tmp_path / name / "model.ckpt-2")) for name in ("old", "new")
    )
    with pytest.raises(errors.UserError, match="ckpt-3 is saved as float32, which can't be read"):
        calls.evaluate(tmp_path / "new", BOTH, modules=MODULES, gin_params=rounded, decode=False)
    table = "encoder/block_000/layer_000/SyntheticAttention/random/table"
    np.testing.assert_array_equal(old.get_tensor(table).astype(np.float32), new.get_tensor(table))
    assert new.get_tensor(table).dtype == np.float32
