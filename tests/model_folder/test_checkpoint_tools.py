"""What is known of checkpoints, which of them are kept, and what is said of mistakes."""

import json
import pathlib
import re

import checkpoint_files
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import main
from mtf_synthesizer.model_folder import (
    files,
    kept_best,
    metric_order,
    prune,
    scores,
    state,
)
from mtf_synthesizer.model_folder.folder import ModelFolder

TASK = "glue_cola_v002"


def save(folder, *steps):
    folder.mkdir(exist_ok=True)
    for step in steps:
        checkpoint_files.write(folder, step, f"index {step}".encode())
        (folder / f"model.ckpt-{step}.data-00000-of-00001").write_text("values" * step)
        (folder / f"model.ckpt-{step}.meta").write_text("graph")


def steps_in(folder):
    return [each.step for each in ModelFolder.at(folder).checkpoints]


def listed(folder):
    """What TensorFlow's file says there is."""
    found = re.findall(r'all_model\w+: "model.ckpt-(\d+)"', (folder / "checkpoint").read_text())
    return [int(step) for step in found]


def row(folder, step, task=TASK, limit=None, beam=1, **metrics):
    fingerprint = ModelFolder.at(folder).choose(step)[0].fingerprint
    loss = metrics.pop("loss", None)
    return {
        "step": step,
        "task": task,
        "checkpoint": fingerprint,
        "limit": limit,
        "decoding": {"beam_size": beam},
        "metrics": metrics,
    } | ({} if loss is None else {"loss": loss})


def report(folder, rows, task=TASK, split="validation", averages=()):
    content = {"task": task, "split": split, "results": rows, "averages": list(averages)}
    (folder / f"eval_{task}_{split}.json").write_text(json.dumps(content))


@pytest.fixture
def model(tmp_path):
    """Checkpoints at five steps, of which all but 2 were evaluated: 5 has the best accuracy."""
    folder = tmp_path / "m"
    save(folder, 2, 3, 5, 7, 11)
    accuracies = {3: 40.0, 5: 70.0, 7: 50.0, 11: 60.0}
    report(folder, [row(folder, s, accuracy=a, loss=a / 100) for s, a in accuracies.items()])
    state.write(folder, "model.ckpt-11", [f"model.ckpt-{s}" for s in (2, 3, 5, 7, 11)])
    return folder


def command(*arguments):
    return main.main(["checkpoints", *map(str, arguments)])


def test_only_shown_unless_told_to(model, capsys):
    before = sorted(path.name for path in model.iterdir())
    assert command("prune", "--model_dir", model, "--keep_last", 2) == 0
    assert sorted(path.name for path in model.iterdir()) == before
    shown = capsys.readouterr().out
    assert re.findall(r"^keep +(\d+)", shown, re.M) == ["7", "11"]
    assert re.findall(r"^remove +(\d+)", shown, re.M) == ["2", "3", "5"]
    assert "--delete" in shown
    assert command("prune", "--model_dir", model, "--keep_last", 2, "--format", "json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in plan["kept"]] == [7, 11]
    assert ([row["step"] for row in plan["removed"]], plan["deleted"]) == ([2, 3, 5], False)


@pytest.mark.parametrize(
    "asked, kept, in_list",
    [
        (["--keep_last", 2], [7, 11], [7, 11]),
        (["--keep_last", 9], [2, 3, 5, 7, 11], [2, 3, 5, 7, 11]),
        (["--keep_best", 1, "--metric", "accuracy"], [2, 5, 11], [11]),
        (["--keep_best", 2, "--metric", "loss"], [2, 3, 7, 11], [11]),
        (["--keep_last", 2, "--keep_best", 1, "--metric", "loss"], [2, 3, 7, 11], [7, 11]),
    ],
)
def test_the_last_the_best_and_those_never_evaluated_stay(model, asked, kept, in_list):
    """The best are not in TensorFlow's list: a training that goes on doesn't remove them."""
    assert command("prune", "--model_dir", model, *asked, "--delete") == 0
    assert steps_in(model) == kept
    assert listed(model) == in_list
    assert ModelFolder(model).state.named == "model.ckpt-11"
    assert not [path for path in model.glob("*.meta") if int(path.stem[11:]) not in kept]


def test_a_folder_that_was_set_back_stays_so(model):
    state.write(model, "model.ckpt-3", ["model.ckpt-2", "model.ckpt-11"])
    command("prune", "--model_dir", model, "--keep_last", 1, "--delete")
    assert steps_in(model) == [3, 11]
    assert ModelFolder(model).state.named == "model.ckpt-3"


def test_what_was_never_finished_goes_unless_it_is_the_newest(model):
    for step in (3, 11):
        (model / f"model.ckpt-{step}.index").unlink()
    (model / "model.ckpt-4_temp").mkdir()
    (model / "model.ckpt-4_temp" / "part-00000-of-00001.index").touch()
    command("prune", "--model_dir", model, "--keep_last", 9, "--delete")
    assert {each.step: each.complete for each in files.saved(ModelFolder(model))} == {
        2: True,
        5: True,
        7: True,
        11: False,
    }
    assert ModelFolder(model).state.named == "model.ckpt-7"


def test_names_that_begin_alike_are_told_apart(tmp_path):
    save(tmp_path, 1, 10, 100)
    found = {each.step: len(each.files) for each in files.saved(ModelFolder(tmp_path))}
    assert found == {1: 3, 10: 3, 100: 3}
    model = ModelFolder(tmp_path)
    prune.carry_out(model, prune.plan(model, 1, None))
    assert [each.step for each in files.saved(ModelFolder(tmp_path))] == [100]


def test_of_equals_the_earliest_and_never_what_is_no_number():
    values = {11: float("nan"), 5: 1.0, 3: 1.0, 2: 9.0, 7: 4.0}
    assert prune.Ranking("loss", values, lower=True, keep=2).best() == [3, 5]
    assert prune.Ranking("loss", values, lower=False, keep=9).best() == [2, 7, 3, 5]


def carry_out(folder, ranking):
    prune.carry_out(folder, prune.plan(folder, 1, ranking))


class Killed(BaseException):
    pass


def test_interrupted_anywhere_the_folder_is_usable_and_the_same_command_finishes(
    tmp_path, monkeypatch
):
    """Every call that changes a file, one after the other, is the one that never comes."""
    changing = ("write_bytes", "replace", "unlink")
    for point in range(1, 100):
        folder = tmp_path / str(point)
        save(folder, 2, 3, 5, 7)
        state.write(folder, "model.ckpt-7", ["model.ckpt-2", "model.ckpt-7"])
        left = point

        def killing(original):
            def method(*args, **kwargs):
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed
                return original(*args, **kwargs)

            return method

        ranking = prune.Ranking("loss", {2: 2.0, 3: 1.0, 5: 3.0, 7: 4.0}, lower=True, keep=1)
        try:
            with monkeypatch.context() as patched:
                for name in changing:
                    patched.setattr(f"pathlib.Path.{name}", killing(getattr(type(folder), name)))
                carry_out(ModelFolder(folder), ranking)
        except Killed:
            assert {3, 7, *listed(folder)} <= set(steps_in(folder))
            assert ModelFolder(folder).state.named == "model.ckpt-7"
            carry_out(ModelFolder(folder), ranking)
        assert {each.step: each.complete for each in files.saved(ModelFolder(folder))} == {
            3: True,
            7: True,
        }
        if left > 0:
            break
    assert point == 2 + 2 * 3 + 1  # the state twice, three files of two checkpoints, and no kill


def test_a_training_run_holds_the_folder(model):
    with ModelFolder(model).lock():
        assert command("prune", "--model_dir", model, "--keep_last", 1, "--delete") == 2
    assert steps_in(model) == [2, 3, 5, 7, 11]


@pytest.mark.parametrize(
    "asked, message",
    [
        ([], "--keep_last and --keep_best are missing"),
        (["--keep_best", 2], "--keep_best 2: --metric is missing"),
        (["--metric", "loss"], "--metric loss: --keep_best is missing"),
        (["--keep_best", 2, "--metric", "acuracy"], r"no report.* has acuracy.*Known: accuracy"),
        (["--keep_best", 2, "--metric", "loss", "--task", "u"], r"has loss of u .*--task u"),
        (["--keep_best", 2, "--metric", "loss", "--split", "test"], "of the split test"),
    ],
)
def test_mistakes(model, asked, message, capsys):
    assert command("prune", "--model_dir", model, *asked, "--delete") == 2
    assert re.search(message, capsys.readouterr().err)
    assert steps_in(model) == [2, 3, 5, 7, 11]


def test_values_of_other_checkpoints_do_not_count(model):
    """The folder was trained anew: step 5 is another model now."""
    (model / "model.ckpt-5.index").write_bytes(b"another" + checkpoint_files.END)
    found = scores.read(ModelFolder(model))
    assert sorted({each.step for each in found}) == [3, 7, 11]


def test_values_of_nothing_that_is_there_do_not_count(model):
    """Neither the checkpoint nor its fingerprint: both are unknown, and not the same."""
    rows = [row(model, 7, accuracy=1.0), {**row(model, 5, accuracy=2.0), "step": 6}]
    del rows[1]["checkpoint"]
    report(model, rows)
    found = scores.read(ModelFolder(model))
    assert [each.step for each in found] == [7]


def test_values_that_can_not_be_compared(model):
    report(model, [row(model, 5, accuracy=1.0), row(model, 7, accuracy=2.0, beam=4)])
    found = scores.read(ModelFolder(model))
    with pytest.raises(errors.UserError, match="different settings"):
        scores.of_metric(found, "accuracy", None, "validation")
    report(model, [row(model, 5, loss=1.0), row(model, 7, loss=2.0, beam=4)])
    found = scores.read(ModelFolder(model))
    assert scores.of_metric(found, "loss", TASK, "validation") == {5: 1.0, 7: 2.0}
    report(model, [row(model, 5, loss=1.0), row(model, 7, loss=2.0, limit=3)])
    found = scores.read(ModelFolder(model))
    with pytest.raises(errors.UserError, match=r"3 examples .*all examples"):
        scores.of_metric(found, "loss", TASK, "validation")


def test_one_of_several_tasks_or_the_average_of_a_mixture(model):
    rows = [row(model, 5, task=task, accuracy=value) for task, value in (("t", 1.0), ("u", 2.0))]
    made = {key: rows[0][key] for key in ("step", "checkpoint", "limit", "decoding")}
    average = made | {"benchmark": "GLUE", "value": 1.5, "tasks": {"t": 1.0, "u": 2.0}}
    (model / f"eval_{TASK}_validation.json").unlink()
    report(model, rows, task="mixture", averages=[average])
    found = scores.read(ModelFolder(model))
    with pytest.raises(errors.UserError, match=r"several tasks have accuracy.* t, u"):
        scores.of_metric(found, "accuracy", None, "validation")
    assert scores.of_metric(found, "accuracy", "u", "validation") == {5: 2.0}
    for task in (None, "GLUE", "mixture"):
        assert scores.of_metric(found, "average", task, "validation") == {5: 1.5}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"results": 3}', '{"results": [3]}'])
def test_a_report_that_is_none(model, content):
    (model / "eval_x_validation.json").write_text(content)
    with pytest.raises(errors.UserError, match="not a report of an evaluation"):
        scores.read(ModelFolder(model))


def test_a_metric_of_ones_own_has_no_order(model, capsys):
    report(model, [row(model, 5, edits=3.0), row(model, 7, edits=2.0), row(model, 3, edits=5.0)])
    asked = ("prune", "--model_dir", model, "--keep_best", 1, "--metric", "edits")
    assert command(*asked, "--delete") == 2
    assert "--better lower" in capsys.readouterr().err
    assert command(*asked, "--better", "higher", "--delete") == 0
    assert steps_in(model) == [2, 3, 11]


def test_every_documented_metric_has_an_order():
    """Those of the first table of the page, and what a report has besides."""
    page = (pathlib.Path(__file__).parent.parent.parent / "docs" / "metrics.md").read_text("utf-8")
    table = page.partition("## Definitions")[2].strip().partition("\n\n")[0]
    keys = {
        key
        for line in table.splitlines()
        if line.startswith("| `")
        for key in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert len(keys) > 20
    known = {*metric_order.LOWER, *metric_order.HIGHER}
    assert keys | {"loss", "token_accuracy", "sequence_accuracy", "average"} <= known
    lower = {key for key in keys if metric_order.lower_is_better(key)}
    assert lower == {"log_perplexity", "perplexity", "word_perplexity", "bits_per_byte"}


def test_the_list(model, capsys):
    (model / "model.ckpt-7.index").unlink()
    assert command("list", "--model_dir", model) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["step", "2", "3", "5", "7", "11"]
    assert f"{TASK} validation: accuracy 70 loss 0.7" in lines[3]
    assert "incomplete" in lines[4] and "accuracy" not in lines[4]
    assert "training resumes here" in lines[5]


def test_the_list_has_the_best_that_is_kept_apart(model, capsys):
    """With its scores, also once the training has removed the checkpoint itself."""
    kept_best.keep(ModelFolder(model).path, kept_best.KeptBest(TASK, "accuracy", 5, 71.0))
    assert command("list", "--model_dir", model, "--format", "json") == 0
    *rows, apart = json.loads(capsys.readouterr().out)
    assert [each["step"] for each in rows] == [2, 3, 5, 7, 11]
    assert (apart["folder"], apart["step"], apart["kept_for"]["value"]) == ("best", 5, 71.0)
    assert apart["scores"] == rows[2]["scores"] and len(apart["scores"]) == 2
    for file in model.glob("model.ckpt-5.*"):
        file.unlink()
    assert command("list", "--model_dir", model, "--format", "json") == 0
    *rows, again = json.loads(capsys.readouterr().out)
    assert again == apart and [each["step"] for each in rows] == [2, 3, 7, 11]
    assert command("list", "--model_dir", model) == 0
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first == f"kept apart in best: step 5, validation accuracy of {TASK} 71"
    assert second == f"{TASK} validation: accuracy 70 loss 0.7"


def test_no_checkpoints_at_all(tmp_path, capsys):
    for asked in (["list"], ["prune", "--keep_last", 1]):
        assert command(*asked, "--model_dir", tmp_path / "none") == 2
        assert "no checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
