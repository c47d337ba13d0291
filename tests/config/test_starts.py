"""A start from another checkpoint that a configuration names is never followed silently."""

import dataclasses

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import t5
from mtf_synthesizer.config.request import Request, for_model, for_training
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG
from mtf_synthesizer.model_folder.folder import ModelFolder

ASKED = {"task": "t", "modules": ()}
NEW = {"synthesizer": "rv", "size": "tiny", "run": "pretrain"}
GONE = "run.init_checkpoint = 'gs://t5-data/gone/model.ckpt-999900'"


@pytest.fixture
def folder(tmp_path):
    """A folder that T5 fine-tuned from a checkpoint that has moved."""
    checkpoint_files.write(tmp_path, 7)
    text = "include 'sizes/tiny.gin'\ninclude 'runs/finetune.gin'\ninclude 'synthesizers/r.gin'\n"
    (tmp_path / OPERATIVE_CONFIG).write_text(f"{text}{GONE}\nrun.skip_seen_data = False\n")
    return tmp_path


def start_of(configuration):
    bound = BoundValues(configuration.files, configuration.params)
    return bound.value("run", "init_checkpoint")


@pytest.mark.parametrize("owner", ["utils.run", "run", "tpu_estimator_model_fn"])
def test_training_names_the_flag(owner):
    param = f"{owner}.init_checkpoint = 'gs://a/model.ckpt-5'"
    with pytest.raises(errors.UserError) as error:
        for_training(Request(**ASKED, **NEW, gin_params=[param]))
    assert f"{owner}.init_checkpoint = 'gs://a/model.ckpt-5' is not followed" in str(error.value)
    assert "give --init_checkpoint with this checkpoint" in str(error.value)


def test_a_published_configuration_is_not_followed(folder):
    files = [str(folder / OPERATIVE_CONFIG)]
    with pytest.raises(errors.UserError, match=rf"{OPERATIVE_CONFIG}:4: .* is not followed"):
        for_training(Request(**ASKED, run="finetune", gin_files=files))
    afresh = "utils.run.init_checkpoint = None"
    skipped = ["run.skip_seen_data = True"]
    request = Request(**ASKED, run="finetune", gin_files=files, gin_params=[afresh, *skipped])
    assert start_of(for_training(request)) is None


def test_a_start_from_a_folder_is_a_start_from_its_own_checkpoint(folder):
    request = Request(**ASKED, init_checkpoint=folder, run="finetune", steps=3)
    assert start_of(for_training(request)) is None


def test_a_trained_model_is_its_own_checkpoints(folder):
    assert start_of(for_model(ModelFolder(folder), Request(modules=()))) is None
    with pytest.raises(errors.UserError, match="the checkpoints of --model_dir are read"):
        for_model(ModelFolder(folder), Request(modules=(), gin_params=[GONE]))


@pytest.mark.parametrize(
    "binding, reason",
    [
        ("skip_seen_data = False", "always passes over the batches it has seen"),
        ("seen_data_init_step = 5", "counted from --init_checkpoint"),
        ("checkpoint_input_pipeline = True", "don't hold the input pipeline"),
    ],
)
def test_seen_data_is_passed_over_in_one_way(binding, reason):
    with pytest.raises(errors.UserError, match=rf"run\.{binding}: .*{reason}"):
        for_training(Request(**ASKED, **NEW, gin_params=[f"utils.run.{binding}"]))


@pytest.mark.parametrize("binding", ["skip_seen_data = True", "checkpoint_input_pipeline = False"])
def test_bindings_that_say_what_is_done_are_honoured(binding):
    for_training(Request(**ASKED, **NEW, gin_params=[f"utils.run.{binding}"]))


@pytest.mark.parametrize(
    "given",
    [
        {"run": "finetune"},
        {"steps": 5},
        {"gin_params": ["train_steps = 5"]},
        {"gin_params": ["utils.run.train_steps = 5"]},
    ],
)
def test_a_run_from_a_checkpoint_has_a_length(folder, given):
    """The default is half a million steps of pretraining."""
    asked = Request(**ASKED, init_checkpoint=folder)
    with pytest.raises(errors.UserError, match=r"neither --run nor --steps .* 524,288 steps"):
        for_training(asked)
    for_training(dataclasses.replace(asked, **given))


def test_a_model_of_a_tpu_mesh_gets_one_local_device(folder):
    def mesh(configuration):
        bound = BoundValues(configuration.files, configuration.params)
        return bound.value("run", "mesh_shape")

    of_folder = ModelFolder(folder)
    assert mesh(for_model(of_folder, Request(modules=()))) == "model:1,batch:1"
    devices = ["utils.run.mesh_shape = 'batch:2'", "utils.run.mesh_devices = ['', '']"]
    own = Request(modules=(), gin_params=devices)
    assert mesh(for_model(of_folder, own)) == "batch:2"
    with open(folder / OPERATIVE_CONFIG, "a") as config:
        config.write("utils.run.mesh_shape = 'batch:2'\nutils.run.mesh_devices = ['', '']\n")
    assert mesh(for_model(of_folder, Request(modules=()))) == "batch:2"


def test_t5_without_devices_is_told_the_file():
    words = ["--model_dir=m", "--gin_file=sizes/tiny.gin"]
    with pytest.raises(errors.UserError, match=r"names the devices.*local_cpu\.gin"):
        t5._check_mesh(*t5._configured(words))
    for word in ("--gin_file=local_cpu.gin", "--gin_param=tpu_mesh_shape.tpu_topology = '2x2'"):
        t5._check_mesh(*t5._configured([*words, word]))
