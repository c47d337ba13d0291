"""Evaluation while a model trains: which checkpoint is the best, and when training ends."""

import json
import math

import mtf_synthesizer.runtime.compat

import calls
import doc_commands
import gin
import pytest
import tensorflow.compat.v1 as tf

from mtf_synthesizer import errors
from mtf_synthesizer.config.training_flags import TrainingFlags
from mtf_synthesizer.model_folder import kept_best
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.loss_log import LossLog
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.training import trained_variables
from mtf_synthesizer.training.validation import Choice, Validation

WORDS = ("red", "green", "blue", "grey", "black", "white", "brown")


def rows(*values):
    return [{"step": float(10 * n), "bleu": value} for n, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("values", "lower", "step"),
    [
        ((3.0, 5.0, 5.0, 4.0), False, 20),
        ((3.0, 5.0, 2.0, 2.0), True, 30),
        ((math.nan, 5.0, 7.0), True, 20),
    ],
)
def test_the_best_is_the_earliest_of_the_best_values(values, lower, step):
    assert Choice("bleu", lower, None).best(rows(*values))["step"] == step


def test_nothing_is_best_without_values():
    assert Choice("bleu", True, 1).best([]) is None
    assert Choice("bleu", True, 1).best(rows(math.nan)) is None


@pytest.mark.parametrize(
    ("values", "patience", "ended"),
    [
        ((), 1, False),
        ((3.0,), 1, False),
        ((3.0, 3.0), 1, True),
        ((3.0, 2.0), 2, False),
        ((3.0, 2.0, 1.0), 2, True),
        ((3.0, 2.0, 4.0), 2, False),
        ((3.0, 2.0, 1.0), None, False),
        ((math.nan, math.nan), 2, True),
    ],
)
def test_when_training_ends(values, patience, ended):
    assert Choice("bleu", False, patience).has_ended(rows(*values)) is ended


class Scripted:
    """A scorer with given values, which counts its calls."""

    split, read = "validation", 7

    def __init__(self, *values):
        self.values, self.steps = [*values], []

    def begin(self, folder, task, trained):
        return ["bleu", "loss"]

    def score(self, checkpoint):
        assert tf.train.checkpoint_exists(checkpoint.path)
        self.steps.append(checkpoint.step)
        return {"bleu": self.values[len(self.steps) - 1], "loss": 1.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for split in ("train", "validation"):
        (folder / f"{split}.tsv").write_text("".join(f"{w} {w}\t{w}\n" for w in WORDS))
    return OwnData({split: str(folder / f"{split}.tsv") for split in ("train", "validation")})


def train(folder, data, validation, steps, **changes):
    params = [
        *doc_commands.BINDINGS,
        "utils.run.save_checkpoints_steps = 2",
        *changes.pop("params", ()),
    ]
    given = {"synthesizer": "rv", "size": "tiny", "vocabulary": "bytes", "batch_size": 3}
    given |= {"attention_summaries": False, "gin_params": params} | changes
    return calls.train(folder, own_data=data, steps=steps, validation=validation, **given)


@pytest.mark.slow
def test_the_best_is_kept_apart_and_a_resumed_run_continues(tmp_path, data, capsys):
    """The last checkpoint stays; the best is an earlier one. A third call adds nothing.

    The run that stops at step 5 saves at 6 and 8 when it resumes, as a run without the stop.
    """
    folder = tmp_path / "m"
    scorer = Scripted(1.0, 5.0, 0.5)
    frozen = TrainingFlags(keep_checkpoints=1, freeze="shared|decoder/").bindings()
    kept = {"params": frozen}
    train(folder, data, Validation(scorer, every=2), 5, **kept)
    assert scorer.steps == [2, 4, 5]
    printed = capsys.readouterr().err
    assert "m: validation bleu 5 at step 4" in printed and "trains " in printed
    scorer = Scripted(4.0, 3.0, 9.0)
    result = train(folder, data, Validation(scorer, every=2, early_stopping=3), 20, **kept)
    assert scorer.steps == [6, 8] and result["step"] == 8
    assert (result["best"]["step"], result["best"]["bleu"], result["metric"]) == (4, 5.0, "bleu")
    assert [c.step for c in ModelFolder.at(folder).checkpoints] == [8]
    record = kept_best.read(folder)
    assert (record.value, record.split, record.examples) == (5.0, "validation", 7)
    assert record.scores == {"bleu": 5.0, "loss": 1.5}
    (best,) = ModelFolder.at(folder).choose("best", "own_data")
    assert best.step == 4 and best.path == str(folder / "best" / "model.ckpt-4")
    assert ModelFolder.at(folder / "best").latest.step == 4
    again = train(folder, data, Validation(scorer, every=2, early_stopping=3), 20, **kept)
    assert again["trained"] == 0 and scorer.steps == [6, 8]
    assert [row["bleu"] for row in LossLog(folder).validations()] == [1.0, 5.0, 0.5, 4.0, 3.0]
    assert all("loss" in row for row in LossLog(folder).read())
    events = next(folder.glob("events.out*"))
    tags = {v.tag for e in tf.train.summary_iterator(str(events)) for v in e.summary.value}
    assert "validation/bleu" in tags
    assert _changed(best.path, str(folder / "model.ckpt-8")) == {"encoder", "global_step"}


def _changed(*checkpoints):
    """Stacks whose variables differ between two checkpoints."""
    first, last = map(tf.train.load_checkpoint, checkpoints)
    names = [name for name in first.get_variable_to_shape_map() if "slot" not in name]
    return {n.split("/")[0] for n in names if (first.get_tensor(n) != last.get_tensor(n)).any()}


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path, monkeypatch, capsys):
    """Evaluation changes no step, and its losses are those of `evaluate`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.tsv").write_text("".join(f"{w} {w}\t{w}\n" for w in WORDS))
    (tmp_path / "dev.jsonl").write_text('{"inputs": "red red", "targets": "red"}\n')
    (tmp_path / "new.tsv").write_text("red\n")
    watched, predicted, dry, *others = doc_commands.of_page("watching.md")
    small = (*doc_commands.SMALLEST, "--batch_size", "3", "--no_attention_summaries")
    steps = ("--steps", "4", "--evaluate_every", "3", "--summary_steps", "1")
    doc_commands.run(dry, *small)
    assert "example 2, inputs: green green" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    doc_commands.run(watched, *small, *steps)
    assert "best validation bleu" in capsys.readouterr().out
    doc_commands.run(predicted)
    start, evaluation = watched.index("--evaluate_every"), watched.index("--keep_checkpoints")
    plain = [*watched[:start], *watched[evaluation:-1], "runs/own"]
    doc_commands.run(plain, *small, *steps[:2], *steps[4:], "--save_steps", "3")
    logs = [LossLog(tmp_path / "runs" / name) for name in ("watched", "own")]
    losses, plain_losses = ([row["loss"] for row in log.read()] for log in logs)
    assert losses == plain_losses
    found = {row["step"]: row["loss"] for row in logs[0].validations()}
    report = calls.evaluate(tmp_path / "runs" / "own", None, decode=False)
    assert [*found] == [3, 4]
    assert found[4] == pytest.approx(report["results"][0]["loss"], rel=1e-6)
    for command in others:
        doc_commands.run(command)
    printed = capsys.readouterr().out
    assert "tensorflow" in printed and "d_model" in printed


def test_an_unknown_metric_is_refused_before_the_first_step(tmp_path, data):
    with pytest.raises(errors.UserError, match="unknown metric of own_data 'blue'"):
        train(tmp_path / "m", data, Validation(Scripted(), every=2, metric="blue"), 4)
    assert not ModelFolder.at(tmp_path / "m").checkpoints


@pytest.mark.parametrize(
    ("pattern", "message"), [("", "trains all variables"), ("c", "trains no variable")]
)
def test_a_pattern_must_choose(pattern, message):
    with tf.Graph().as_default(), gin.unlock_config():
        tf.get_variable("a", [2])
        tf.get_variable("b", [3], trainable=False)
        gin.bind_parameter("run.variable_filter", pattern)
        try:
            with pytest.raises(errors.UserError, match=message):
                trained_variables.check()
        finally:
            gin.clear_config()


def test_a_killed_copy_leaves_the_best_before(tmp_path, monkeypatch):
    for step in (2, 4):
        for suffix in (".index", ".data-00000-of-00001"):
            (tmp_path / f"model.ckpt-{step}{suffix}").write_bytes(
                str(step).encode() + bytes.fromhex("57fb808b247547db")
            )
    kept_best.keep(tmp_path, kept_best.KeptBest("t", "bleu", 2, 1.0))
    monkeypatch.setattr(kept_best.saving, "write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        kept_best.keep(tmp_path, kept_best.KeptBest("t", "bleu", 4, 2.0))
    assert kept_best.checkpoint(tmp_path, "t").step == 2
    monkeypatch.undo()
    kept_best.keep(tmp_path, kept_best.KeptBest("t", "bleu", 4, 2.0))
    assert kept_best.checkpoint(tmp_path, None).step == 4
    assert json.loads((tmp_path / "best" / "best.json").read_text())["metric"] == "bleu"
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == [
        "best.json",
        "model.ckpt-4.data-00000-of-00001",
        "model.ckpt-4.index",
    ]
    assert kept_best.checkpoint(tmp_path, "another") is None
