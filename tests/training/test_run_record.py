"""A folder goes on with the run that began in it, and with no other."""

import dataclasses
import json
import shutil

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.model_folder import checkpoints, run_file
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.training import run_record
from mtf_synthesizer.training.start import prepare

ASKED = Request(task="t", synthesizer="rv", size="tiny", gin_params=("a = 3",), seed=3)


@pytest.fixture
def begun(tmp_path):
    """A folder with a run of seed 3 at step 5."""
    folder = tmp_path / "run"
    run_record.remember(ModelFolder(folder), ASKED, None)
    checkpoint_files.write(folder, 5)
    return folder


def test_the_same_command_goes_on_with_more_steps(begun):
    longer = dataclasses.replace(ASKED, steps=700, run="pretrain", tfds_data_dir="elsewhere")
    assert run_record.resumed(ModelFolder(begun), longer) is longer
    run_record.remember(ModelFolder(begun), longer, None)
    assert run_record.resumed(ModelFolder(begun), ASKED) is ASKED


@pytest.mark.parametrize(
    "change, shown",
    [
        ({"task": "u"}, "--task t, not --task u"),
        ({"synthesizer": "v"}, "--synthesizer rv, not --synthesizer v"),
        ({"size": None}, "--size tiny, not no --size"),
        ({"run": "finetune"}, "--run pretrain, not --run finetune"),
        (
            {"experiment": "imdb_small"},
            "--run pretrain, not no --run; no --experiment, not --experiment imdb_small",
        ),
        ({"batch_size": 7}, "no --batch_size, not --batch_size 7"),
        (
            {"additional_task_cache_dirs": ["a", "b"]},
            "no --additional_task_cache_dirs, not --additional_task_cache_dirs a,b",
        ),
        ({"gin_params": ()}, "--gin_param 'a = 3', not no --gin_param"),
        (
            {"gin_files": ["clip_gradients.gin"]},
            "no --gin_file, not --gin_file 'clip_gradients.gin'",
        ),
        ({"init_checkpoint": "m"}, "begun with no --init_checkpoint, not with --init_checkpoint m"),
    ],
)
def test_another_run_is_refused(begun, change, shown):
    with pytest.raises(errors.UserError) as error:
        run_record.resumed(ModelFolder(begun), dataclasses.replace(ASKED, **change))
    assert f"holds another run: {shown}. " in str(error.value)


def test_a_run_goes_on_with_other_devices(begun):
    split = dataclasses.replace(
        ASKED, gin_files=["meshes/data.gin"], gin_params=(*ASKED.gin_params, "data_devices = 4")
    )
    assert run_record.resumed(ModelFolder(begun), split) is split
    run_record.remember(ModelFolder(begun), split, None)
    assert run_record.resumed(ModelFolder(begun), ASKED) is ASKED


def test_another_seed_is_refused(begun):
    with pytest.raises(errors.UserError, match="--seed 3, not --seed 4"):
        run_record.resumed(ModelFolder(begun), dataclasses.replace(ASKED, seed=4))


def test_a_start_that_failed_binds_nobody(tmp_path):
    run_record.remember(ModelFolder(tmp_path), ASKED, None)
    other = Request(task="u", synthesizer="rv", size="tiny", run="pretrain", seed=4)
    assert prepare(ModelFolder(tmp_path), other).request == other
    run_record.remember(ModelFolder(tmp_path), other, None)
    assert json.loads((tmp_path / run_file.RECORD).read_text())["task"] == "u"


def test_a_folder_without_a_record_goes_on_but_not_from_elsewhere(tmp_path):
    checkpoint_files.write(tmp_path / "m", 5)
    assert run_record.resumed(ModelFolder(tmp_path / "m"), ASKED) is ASKED
    start = checkpoint_files.write(tmp_path / "start", 7)
    with pytest.raises(errors.UserError, match=r"already holds checkpoints.*Leave it out"):
        run_record.resumed(
            ModelFolder(tmp_path / "m"), dataclasses.replace(ASKED, init_checkpoint=start.path)
        )


def test_a_run_goes_on_from_the_checkpoint_it_began_with(tmp_path):
    """Though the folder it began with has a later one by now, and has been moved."""
    start = checkpoint_files.write(tmp_path / "start", 7, b"seven")
    folder = tmp_path / "run"
    run_record.remember(ModelFolder(folder), ASKED, start)
    checkpoint_files.write(folder, 9)
    checkpoint_files.write(tmp_path / "start", 8, b"eight")
    (tmp_path / "start").rename(tmp_path / "moved")
    of_seven = str(tmp_path / "moved" / "model.ckpt-7")
    for given in (tmp_path / "moved", of_seven, f"{of_seven}.index"):
        request = dataclasses.replace(ASKED, init_checkpoint=given)
        found = run_record.resumed(ModelFolder(folder), request).init_checkpoint
        assert found == checkpoints.Checkpoint(of_seven, 7)
    checkpoint_files.write(tmp_path / "other", 7, b"other seven")
    for given in (tmp_path / "moved" / "model.ckpt-8", tmp_path / "other", None):
        with pytest.raises(errors.UserError, match=r"begun with --init_checkpoint .*ckpt-7, not"):
            run_record.resumed(
                ModelFolder(folder), dataclasses.replace(ASKED, init_checkpoint=given)
            )


def test_a_start_that_is_gone_is_not_needed_any_more(tmp_path):
    start = checkpoint_files.write(tmp_path / "start", 7, b"seven")
    folder = tmp_path / "run"
    asked = dataclasses.replace(ASKED, init_checkpoint=tmp_path / "start")
    run_record.remember(ModelFolder(folder), asked, start)
    own = checkpoint_files.write(folder, 9)
    shutil.rmtree(tmp_path / "start")
    for given in (tmp_path / "start", start.path, f"{start.path}.index"):
        resumed = run_record.resumed(
            ModelFolder(folder), dataclasses.replace(asked, init_checkpoint=given)
        )
        begun = start_checkpoint(resumed.init_checkpoint)
        assert (begun.path, begun.step) == (own.path, 7)
    for given in (tmp_path / "elsewhere", None):
        with pytest.raises(errors.UserError, match=r"begun with --init_checkpoint .*start/model"):
            run_record.resumed(
                ModelFolder(folder), dataclasses.replace(asked, init_checkpoint=given)
            )
    checkpoint_files.write(tmp_path / "start", 7, b"another seven")
    with pytest.raises(errors.UserError, match="another run"):
        run_record.resumed(ModelFolder(folder), asked)


def test_the_steps_of_a_run_whose_start_is_gone_count_from_there(tmp_path):
    start = checkpoints.Checkpoint(checkpoint_files.write(tmp_path, 9).path, 7)
    request = dataclasses.replace(ASKED, gin_params=(), init_checkpoint=start, steps=30)
    assert "utils.run.train_steps = 37" in for_training(request).params


def test_the_text_of_a_gin_file_counts_not_its_name(tmp_path, monkeypatch):
    file, folder = tmp_path / "mine.gin", tmp_path / "run"
    file.write_text("d_ff = 11\n")
    asked = dataclasses.replace(ASKED, gin_files=[str(file), "clip_gradients.gin"])
    run_record.remember(ModelFolder(folder), asked, None)
    checkpoint_files.write(folder, 5)
    monkeypatch.chdir(tmp_path)
    file.rename(tmp_path / "other.gin")
    same = dataclasses.replace(asked, gin_files=["./other.gin", "clip_gradients.gin"])
    assert run_record.resumed(ModelFolder(folder), same) is same
    file.write_text("d_ff = 13\n")
    with pytest.raises(errors.UserError) as error:
        run_record.resumed(ModelFolder(folder), asked)
    assert f"another run: the content of --gin_file '{file}' has changed. " in str(error.value)
    for files in (["other.gin"], ["clip_gradients.gin", "other.gin"]):
        with pytest.raises(errors.UserError, match=r"mine.gin.* not --gin_file"):
            run_record.resumed(ModelFolder(folder), dataclasses.replace(asked, gin_files=files))


def test_the_text_of_a_file_that_a_binding_includes_counts_too(tmp_path):
    file, folder = tmp_path / "mine.gin", tmp_path / "run"
    file.write_text("d_ff = 11\n")
    params = (f"include '{file}'", "include 'clip_gradients.gin'")
    asked = dataclasses.replace(ASKED, gin_params=params)
    run_record.remember(ModelFolder(folder), asked, None)
    checkpoint_files.write(folder, 5)
    assert run_record.resumed(ModelFolder(folder), asked) is asked
    file.write_text("d_ff = 13\n")
    with pytest.raises(errors.UserError, match=r"mine.gin', which --gin_param includes, has chan"):
        run_record.resumed(ModelFolder(folder), asked)
    path = folder / run_file.RECORD
    record = json.loads(path.read_text())
    assert list(record.pop(run_file.INCLUDED)) == [str(file)]
    path.write_text(json.dumps(record))  # as earlier releases wrote it
    assert run_record.resumed(ModelFolder(folder), asked) is asked


def test_a_record_of_an_earlier_release_compares_names(begun):
    path = begun / run_file.RECORD
    record = json.loads(path.read_text())
    del record["gin_file_sha256"]
    path.write_text(json.dumps(record | {"gin_files": ["clip_gradients.gin"]}))
    asked = dataclasses.replace(ASKED, gin_files=["clip_gradients.gin"])
    assert run_record.resumed(ModelFolder(begun), asked) is asked
    with pytest.raises(errors.UserError, match=r"'clip_gradients\.gin', not no"):
        run_record.resumed(ModelFolder(begun), ASKED)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\0"])
def test_a_broken_record(begun, content):
    (begun / run_file.RECORD).write_text(content)
    with pytest.raises(errors.UserError, match="not a record of a run"):
        run_record.resumed(ModelFolder(begun), ASKED)


def test_the_precision_of_products_is_kept(begun):
    """Recorded, float32 for records without it, None where nothing is resumed."""
    path = begun / run_file.RECORD
    record = json.loads(path.read_text())
    assert record.pop("matmul_precision") == ModelFolder(begun).precision == "float32"
    path.write_text(json.dumps(record | {"matmul_precision": "bfloat16"}))
    assert ModelFolder(begun).precision == "bfloat16"
    assert run_record.kept_precision_below(begun.parent) == "bfloat16"
    assert run_record.kept_precision_below(begun) is None
    path.write_text(json.dumps(record))
    assert ModelFolder(begun).precision == "float32"
    path.write_text(json.dumps(record | {"matmul_precision": "float16"}))
    with pytest.raises(errors.UserError, match=r"no known matmul_precision"):
        _ = ModelFolder(begun).precision
    shutil.rmtree(begun)
    assert ModelFolder(begun).precision is None


def test_python_resumes_in_the_precision_of_the_run(begun):
    from mtf_synthesizer.training import train

    asked = dataclasses.replace(ASKED, gin_params=())
    path = begun / run_file.RECORD
    path.unlink()
    run_record.remember(ModelFolder(begun), asked, None)
    path.write_text(path.read_text().replace('"float32"', '"bfloat16"'))
    if not precision.instructions():
        pytest.skip("a processor without bfloat16, which resumes in float32")
    with pytest.raises(errors.UserError, match=r"begun with bfloat16 products"):
        train.train(begun, asked)


def test_a_run_that_began_meanwhile_is_not_overwritten(tmp_path):
    """TensorFlow takes seconds to load, between the comparison with the folder and the lock."""
    from mtf_synthesizer.training import train

    asked = dataclasses.replace(ASKED, gin_params=())
    run = prepare(ModelFolder(tmp_path / "run"), asked)
    other = dataclasses.replace(asked, task="u")
    run_record.remember(ModelFolder(tmp_path / "run"), other, None)
    checkpoint_files.write(tmp_path / "run", 5)
    with pytest.raises(errors.UserError, match="holds another run: --task u, not --task t"):
        train.carry_out(run, train.DEFAULTS)


def test_the_run_that_is_resumed_keeps_its_vocabulary(tmp_path):
    from mtf_synthesizer.model_folder import vocabulary

    asked, folder = dataclasses.replace(ASKED, gin_params=()), tmp_path / "run"
    described = {"kind": "bytes", "size": 384, "sentinels": 125}
    used = vocabulary.UsedVocabulary({"inputs": described, "targets": described}, "inputs")
    assert prepare(ModelFolder(folder), asked).configuration.vocabulary is None
    run_record.remember(ModelFolder(folder), asked, None)
    vocabulary.remember(folder, used)
    checkpoint_files.write(folder, 5)
    assert prepare(ModelFolder(folder), asked).configuration.vocabulary == "bytes"
