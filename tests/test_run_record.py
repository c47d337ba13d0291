"""A folder goes on with the run that began in it, and with no other."""

import dataclasses
import json

import pytest

from mtf_synthesizer import configuration, names, run_record

ASKED = configuration.Request(task="t", synthesizer="rv", size="tiny", gin_params=("a = 3",))


def checkpoint(folder, step, content=b""):
    folder.mkdir(exist_ok=True)
    (folder / f"model.ckpt-{step}.index").write_bytes(content)
    (folder / f"model.ckpt-{step}.data-00000-of-00001").touch()
    return configuration.Checkpoint(str(folder / f"model.ckpt-{step}"), step)


@pytest.fixture
def begun(tmp_path):
    """A folder with a run of seed 3 at step 5."""
    folder = tmp_path / "run"
    run_record.remember(folder, ASKED, 3, None)
    checkpoint(folder, 5)
    return folder


def test_the_same_command_goes_on_with_more_steps(begun):
    longer = dataclasses.replace(ASKED, steps=700, run="pretrain", tfds_data_dir="elsewhere")
    assert run_record.resumed(begun, longer, 3) is longer
    run_record.remember(begun, longer, 3, None)
    assert run_record.resumed(begun, ASKED, 3) is ASKED


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
        ({"gin_params": ()}, "--gin_param 'a = 3', not no --gin_param"),
        ({"gin_files": ["x.gin"]}, "no --gin_file, not --gin_file 'x.gin'"),
        ({"init_checkpoint": "m"}, "begun with no --init_checkpoint, not with --init_checkpoint m"),
    ],
)
def test_another_run_is_refused(begun, change, shown):
    with pytest.raises(names.UserError) as error:
        run_record.resumed(begun, dataclasses.replace(ASKED, **change), 3)
    assert f"holds another run: {shown}. " in str(error.value)


def test_another_seed_is_refused(begun):
    with pytest.raises(names.UserError, match="--seed 3, not --seed 4"):
        run_record.resumed(begun, ASKED, 4)


def test_a_start_that_failed_binds_nobody(tmp_path):
    run_record.remember(tmp_path, ASKED, 3, None)
    other = dataclasses.replace(ASKED, task="u")
    assert run_record.resumed(tmp_path, other, 4) is other
    run_record.remember(tmp_path, other, 4, None)
    assert json.loads((tmp_path / run_record.RECORD).read_text())["task"] == "u"


def test_a_folder_without_a_record_goes_on_but_not_from_elsewhere(tmp_path):
    checkpoint(tmp_path / "m", 5)
    assert run_record.resumed(tmp_path / "m", ASKED, 3) is ASKED
    start = checkpoint(tmp_path / "start", 7)
    with pytest.raises(names.UserError, match=r"holds checkpoints already.*would be ignored"):
        run_record.resumed(
            tmp_path / "m", dataclasses.replace(ASKED, init_checkpoint=start.path), 3
        )


def test_a_run_goes_on_from_the_checkpoint_it_began_with(tmp_path):
    """Though the folder it began with has a later one by now, and has been moved."""
    start = checkpoint(tmp_path / "start", 7, b"seven")
    folder = tmp_path / "run"
    run_record.remember(folder, ASKED, 3, start)
    checkpoint(folder, 9)
    checkpoint(tmp_path / "start", 8, b"eight")
    (tmp_path / "start").rename(tmp_path / "moved")
    of_seven = str(tmp_path / "moved" / "model.ckpt-7")
    for given in (tmp_path / "moved", of_seven, f"{of_seven}.index"):
        request = dataclasses.replace(ASKED, init_checkpoint=given)
        assert run_record.resumed(folder, request, 3).init_checkpoint == of_seven
    checkpoint(tmp_path / "other", 7, b"other seven")
    for given in (tmp_path / "moved" / "model.ckpt-8", tmp_path / "other", None):
        with pytest.raises(names.UserError, match=r"begun with --init_checkpoint .*ckpt-7, not"):
            run_record.resumed(folder, dataclasses.replace(ASKED, init_checkpoint=given), 3)
    (tmp_path / "moved" / "model.ckpt-7.index").unlink()
    with pytest.raises(names.UserError, match=r"of which .*moved holds nothing any more"):
        gone = dataclasses.replace(ASKED, init_checkpoint=tmp_path / "moved")
        run_record.resumed(folder, gone, 3)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\0"])
def test_a_broken_record(begun, content):
    (begun / run_record.RECORD).write_text(content)
    with pytest.raises(names.UserError, match="no record of a run"):
        run_record.resumed(begun, ASKED, 3)
