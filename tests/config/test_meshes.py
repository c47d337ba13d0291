"""The mesh files: what they split, what can't be split, and a run on two virtual devices."""

import mtf_synthesizer.runtime.compat

import calls
import pytest
import runner_tasks  # noqa: F401  (registers the tasks)
import tensorflow.compat.v1 as tf
from runner_tasks import PAIRS

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files, mesh_option, request
from mtf_synthesizer.config.lint import meshes
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.upstream import devices as mesh_devices
from mtf_synthesizer.upstream.session import configured

MESHES = ("data", "heads", "data_heads", "model")
SHAPES = {  # of each file, with the sizes it comes with
    "data": {"batch": 2, "model": 1},
    "heads": {"batch": 1, "model": 2},
    "data_heads": {"batch": 2, "model": 2},
    "model": {"batch": 1, "model": 2},
}


def wanted(*params, mesh=None, size="tiny", synthesizer="rv"):
    files = [f"meshes/{mesh}.gin"] if mesh else []
    return request.for_training(
        request.Request(
            task=PAIRS, synthesizer=synthesizer, size=size, gin_files=files, gin_params=params
        )
    )


def test_every_mesh_file_is_here():
    assert {file.stem for file in (gin_files.gin_folder() / "meshes").glob("*.gin")} == set(MESHES)


@pytest.mark.parametrize("mesh", MESHES)
def test_devices_are_as_many_as_the_mesh_has(mesh, monkeypatch):
    monkeypatch.setattr(mesh_devices, "_processors", 1)
    with configured(wanted(mesh=mesh), verbose=False):
        shape = mesh_devices._bound("mesh_shape")
        assert dict(shape) == SHAPES[mesh]
        devices = mesh_devices.visible_devices()
    assert devices == [f"cpu:{n}" for n in range(2 if mesh != "data_heads" else 4)]
    estimator = tf.estimator.Estimator(lambda features, labels, mode: None)
    with tf.Session(config=estimator.config.session_config) as session:
        there = [each for each in session.list_devices() if each.device_type == "CPU"]
    assert len(there) == len(devices)


def test_meshes_of_several_sizes_follow_one_another_in_a_process():
    """More devices, fewer, none, as many again: each session has those of its own mesh."""
    for mesh in ("data", "data_heads", None, "heads"):
        with configured(wanted(mesh=mesh), verbose=False):
            devices = mesh_devices.visible_devices() if mesh else ["cpu:0"]
            estimator = tf.estimator.Estimator(lambda features, labels, mode: None)
        with tf.Graph().as_default(), tf.Session(config=estimator.config.session_config) as session:
            values = []
            for number, device in enumerate(devices):
                with tf.device(device):
                    values.append(tf.constant(number) + 1)
            assert session.run(tf.add_n(values)) == sum(range(len(devices) + 1))
            placed = {each.op.device[-5:].lower() for each in values}
            assert placed == set(devices)


def test_more_than_the_visible_cards(monkeypatch):
    cards = ["a card", "another"]
    found = mesh_devices.tf.config.experimental
    monkeypatch.setattr(found, "list_physical_devices", lambda kind: cards)
    with configured(wanted(mesh="data"), verbose=False):
        assert mesh_devices.visible_devices() == ["gpu:0", "gpu:1"]
    with (
        configured(wanted("model_devices = 4", mesh="model"), verbose=False),
        pytest.raises(errors.UserError, match=r"model:4, 4 devices, but 2 GPUs"),
    ):
        mesh_devices.visible_devices()


def replace_cards(monkeypatch, count):
    """No machine of the tests has a GPU: TensorFlow's list of devices is replaced."""
    listed = mesh_devices.tf.config.experimental
    monkeypatch.setattr(listed, "list_physical_devices", lambda kind: ["a card"] * count)
    monkeypatch.setattr(mesh_devices, "_chosen", mesh_devices.AUTO)  # and restored after the test


@pytest.mark.parametrize(
    ("device", "cards", "found"),
    [
        ("auto", 0, [""]),
        ("auto", 2, ["gpu:0"]),
        ("cpu", 2, ["cpu:0"]),
        ("gpu", 2, ["gpu:0"]),
        ("gpu:1", 2, ["gpu:1"]),
    ],
)
def test_the_chosen_device(device, cards, found, monkeypatch):
    replace_cards(monkeypatch, cards)
    mesh_devices.choose(device)
    with configured(wanted(), verbose=False):
        assert mesh_devices.visible_devices() == found


@pytest.mark.parametrize(
    ("device", "cards", "message"),
    [
        ("gpu", 0, r"--device gpu: TensorFlow sees no GPU. .*mtf_synthesizer\[cuda\]"),
        ("gpu:2", 2, "--device gpu:2: TensorFlow sees 2 GPUs, gpu:0 to gpu:1"),
    ],
)
def test_a_card_that_is_not_there(device, cards, message, monkeypatch):
    replace_cards(monkeypatch, cards)
    with pytest.raises(errors.UserError, match=message):
        mesh_devices.choose(device)


@pytest.mark.parametrize(
    ("mesh", "text", "params"),
    [
        ("data", "data:3", ["data_devices = 3"]),
        ("data_heads", "heads:2,data:2", []),
        ("model", "model:2", []),
    ],
)
def test_a_mesh_in_words_is_that_of_a_file(mesh, text, params):
    option = mesh_option.parse(text)
    file = BoundValues([f"meshes/{mesh}.gin"], params)
    ours = BoundValues(option.gin_files, option.gin_params)
    for name in ("mesh_shape", "layout_rules"):
        assert ours.value("run", name) == file.value("run", name)
    shape = ";".join(f"{axis}:{size}" for axis, size in ours.value("run", "mesh_shape"))
    assert (option.shape, option.layout) == (shape, ours.value("run", "layout_rules"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dta:2", "unknown axis of --mesh 'dta'. Did you mean 'data'"),
        ("data", "'data' has no number of devices. Write it like data:2,heads:2"),
        ("data:0", "'data:0' has no number"),
        ("data:2,data:3", "data occurs twice"),
        ("heads:2,model:2", "model splits the heads, too"),
    ],
)
def test_a_mesh_in_words_that_is_none(text, message):
    with pytest.raises(errors.UserError, match=message):
        mesh_option.parse(text)


MISTAKES = {
    "heads": (
        ["model_devices = 3"],
        "heads",
        ["SyntheticAttention.num_heads = 4", "3 equal parts", "splits heads over 'model'"],
    ),
    "batch": (
        ["data_devices = 7"],
        "data",
        ["run.batch_size = 128", "7 equal parts", "splits batch over 'batch'"],
    ),
    "batch of one's own": (["batch_size = 9"], "data", ["batch_size = 9", "2 equal parts"]),
    "d_ff": (
        ["num_heads = 6", "model_devices = 3"],
        "model",
        ["DenseReluDense.hidden_size = 256", "3 equal parts"],
    ),
    "length": (
        ["utils.run.layout_rules = 'length:batch'", "inputs_length = 513"],
        "data",
        ["run.sequence_length = 513", "2 equal parts"],
    ),
    "an axis with nothing to do": (
        ["data_devices = 1", "model_devices = 2"],
        "data",
        ["2 devices along 'model'", "utils.run.layout_rules splits nothing", "docs/meshes.md"],
    ),
    "an axis misspelt in the mesh": (
        ["utils.run.mesh_shape = 'batch:2,modle:2'"],
        "model",
        ["'model'", "utils.run.mesh_shape has no such axis. Did you mean 'modle'?"],
    ),
    "an axis misspelt in the layout": (
        ["utils.run.layout_rules = 'heads:modle'"],
        "heads",
        ["splits heads over 'modle'", "Did you mean 'model'?", "It has batch, model"],
    ),
    "a dimension misspelt": (
        ["utils.run.layout_rules = 'head:model'"],
        "heads",
        ["no tensor has a dimension 'head'. Did you mean 'heads'?"],
    ),
    "tables": (
        ["utils.run.layout_rules = 'key_position:model'"],
        "heads",
        ["looked up along key_position", "Split heads instead"],
    ),
    "no mesh": (["utils.run.mesh_shape = 'batch'"], None, ["mesh_shape = 'batch'", "batch:4"]),
    "no number": (["utils.run.mesh_shape = 'batch:x'"], None, ["mesh_shape = 'batch:x'"]),
    "no device": (["data_devices = 0"], "data", ["mesh_shape = [('batch', 0), ('model', 1)]"]),
    "half a device": (["data_devices = 1.5"], "data", ["mesh_shape", "1.5"]),
    "no layout": (["utils.run.layout_rules = 'heads'"], None, ["layout_rules = 'heads'"]),
    "twice": (["utils.run.mesh_shape = 'batch:2,batch:2'"], None, ["a name occurs twice"]),
    "devices of one's own": (
        ["utils.run.mesh_shape = 'batch:2'", "utils.run.mesh_devices = ['cpu:0']"],
        None,
        ["2 devices, but utils.run.mesh_devices names 1: cpu:0", "a file of meshes/"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case):
    params, mesh, words = MISTAKES[case]
    with pytest.raises(errors.UserError) as error:
        wanted(*params, mesh=mesh)
    for word in words:
        assert word in str(error.value)


def test_what_is_no_literal_is_left_to_mesh():
    wanted("utils.run.mesh_shape = @utils.tpu_mesh_shape()", "num_heads = 3")


def test_rules_of_ones_own_dimensions():
    wanted("utils.run.layout_rules = 'batch:batch,wings:model'", mesh="heads")


@pytest.mark.parametrize(
    "text",
    ["batch:4;model:2", "batch:4,model:2.", " batch:4 model:2", [("batch", 4), ["model", 2]]],
)
def test_a_mesh_in_each_spelling_of_mesh(text):
    assert meshes.pairs(meshes.SHAPE, text, int) == {"batch": 4, "model": 2}


# A model of a few numbers, and two steps.
SMALLEST = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 12",
    "num_heads = 4",
    "d_kv = 3",
    "max_length = 17",
    "inputs_length = 13",
    "targets_length = 7",
    "dropout_rate = 0.0",
)


def trained(folder, *params, mesh=None):
    return calls.train(
        folder,
        PAIRS,
        synthesizer="rv",
        size="tiny",
        run="finetune",
        steps=2,
        batch_size=4,
        gin_files=[f"meshes/{mesh}.gin"] if mesh else [],
        gin_params=[*SMALLEST, *params],
        modules=("runner_tasks",),
        attention_summaries=False,
        show_progress=False,
    )


@pytest.mark.slow
def test_a_run_on_two_devices_is_that_on_one(tmp_path):
    """What it learns; and it decodes there, and refuses a batch that can't be divided."""
    whole = trained(tmp_path / "whole")
    split = trained(tmp_path / "split", mesh="data")
    losses = [[row["loss"] for row in each["losses"]] for each in (whole, split)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[0][0] != losses[0][1]
    output = tmp_path / "split.jsonl"
    options = {"split": "validation", "modules": ("runner_tasks",), "examples": 3, "output": output}
    with pytest.raises(errors.UserError, match="batch_size = 3 can't be divided into 2"):
        calls.predict(tmp_path / "split", PAIRS, batch_size=3, **options)
    assert calls.predict(tmp_path / "split", PAIRS, batch_size=2, **options)["examples"] == 3
