"""Training, evaluation and prediction on a few lines of text, several models in one process."""

import dataclasses
import json
import os
import re
import shutil
import signal

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import runner_tasks
import tensorflow.compat.v1 as tf
from runner_tasks import BEGINS_WITH_TEST, BOTH, CHAIN, PAIRS, SOME_WITH_TEST, TEXT, WITHOUT_TEST
from small_runs import MODULES, train

from mtf_synthesizer import errors
from mtf_synthesizer.files import saving
from mtf_synthesizer.inference.report import describe
from mtf_synthesizer.model_folder import best, loss_log, run_file, vocabulary
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import signals
from mtf_synthesizer.submissions import layout
from mtf_synthesizer.training import train as runner
from mtf_synthesizer.upstream import session, tasks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """R+V trained for 3 steps, then for 5 by the same call: (folder, both results)."""
    folder = tmp_path_factory.mktemp("runs") / "rv"
    first = train(folder, attention_summaries=True)
    return folder, first, train(folder, steps=5, attention_summaries=True)


def test_goes_on_where_it_stopped(trained):
    _, first, second = trained
    assert (first["step"], second["step"]) == (3, 5)
    assert [row["step"] for row in first["losses"]] == [1, 2, 3]
    assert [row["step"] for row in second["losses"]] == [1, 2, 3, 4, 5]
    assert second["losses"][:3] == first["losses"]
    assert second["loss"] == second["losses"][-1]["loss"]


def test_a_finished_run_has_nothing_to_do(trained):
    folder, _, second = trained
    again = train(folder, steps=2)
    assert again["losses"] == second["losses"]
    assert (again["step"], again["end"], again["trained"]) == (5, 2, 0)
    assert (second["end"], second["trained"]) == (5, 2)


def test_what_is_said_is_where_tensorflow_goes_on(trained, tmp_path):
    """Set back, and killed when a checkpoint was written but not yet named (docs/runs.md)."""
    folder, _, before = trained
    shutil.copytree(folder, tmp_path / "m")
    state = tmp_path / "m" / "checkpoint"
    state.write_text(state.read_text().replace("model.ckpt-5", "model.ckpt-3", 1))
    back = train(tmp_path / "m", steps=4)
    assert (back["step"], back["trained"]) == (4, 1)
    assert [row["loss"] for row in back["losses"]] == [row["loss"] for row in before["losses"][:4]]
    state.write_text('model_checkpoint_path: "model.ckpt-3"\n')
    killed = train(tmp_path / "m", steps=5)
    assert (killed["step"], killed["trained"]) == (5, 0)


def test_writes_no_graph_files(trained):
    folder = trained[0]
    assert {path.name for path in folder.glob("model.ckpt-*.index")} >= {"model.ckpt-5.index"}
    assert not [*folder.glob("*.meta"), *folder.glob("graph.pbtxt")]


def test_summaries(trained):
    found = {}
    for path in trained[0].glob("events.out.*"):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    assert {"loss", "learning_rate", "gradient_norm"} <= set(found)
    assert found["learning_rate"][1] == pytest.approx(1e-3)
    assert all(value > 0 for value in found["gradient_norm"].values())
    for stack in ("encoder", "decoder"):
        layer = f"{stack}/block_000/layer_000/SyntheticAttention"
        for head in range(2):
            alpha = [found[f"alpha/{layer}/head_{head}/term_{term}"][0] for term in range(2)]
            assert alpha == [0.5, 0.5]
            entropy = found[f"attention_entropy/{layer}/head_{head}"]
            assert set(entropy) >= {0, 3, 5}
            assert all(0 < value < np.log(13) for value in entropy.values())


def test_summaries_of_a_mixture_that_begins_with_a_test_set(tmp_path):
    """As GLUE's mixtures begin with AX; attention is recorded on another task's examples."""
    done = train(tmp_path / "m", task=BEGINS_WITH_TEST, attention_summaries=True)
    assert (done["step"], done["trained"]) == (3, 3)


def test_alphas_and_attention(trained):
    folder = trained[0]
    alphas = runner.alphas(folder)
    weights = calls.record_attention(folder, PAIRS, modules=MODULES, examples=3)
    assert set(alphas) == set(weights)
    for layer, alpha in alphas.items():
        assert alpha.shape == (2, 2)
        np.testing.assert_allclose(alpha.sum(-1), 1)
        rows = weights[layer]
        assert rows.shape[:2] == (3, 2)  # examples, heads
        np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
    first = "decoder/block_000/layer_000/SyntheticAttention"
    assert not np.triu(weights[first], 1).any()


def test_evaluates_a_mixture_and_writes_json(trained):
    folder = trained[0]
    predictions = folder / "predictions.jsonl"
    report = calls.evaluate(
        folder, BOTH, checkpoints=3, modules=MODULES, predictions=predictions, batch_size=3
    )
    assert {(row["step"], row["task"]) for row in report["results"]} == {(3, PAIRS), (3, CHAIN)}
    for row in report["results"]:
        assert row["examples"] == 5
        perplexities = {"log_perplexity", "perplexity"}
        assert set(row["metrics"]) == ({"accuracy"} if row["task"] == PAIRS else perplexities)
        # All of the characters and an end, which bytes of padding in the last batch are not.
        assert row["tokens"] == sum(len(word) + 1 for word in runner_tasks.WORDS)
        assert row["loss"] > 0
    written = json.loads(best.report_path(folder, BOTH, "validation").read_text())
    assert written == report
    assert PAIRS in describe(report)
    rows = [json.loads(line) for line in predictions.read_text("utf-8").splitlines()]
    assert [row["target"] for row in rows] == [len(word) for word in runner_tasks.WORDS]


def test_evaluates_every_checkpoint(trained, tmp_path, monkeypatch):
    """Each is written as soon as it is evaluated, and nothing into the folder of the model."""
    written = []
    whole = saving.write_json
    monkeypatch.setattr(saving, "write_json", lambda *given: written.append(given) or whole(*given))
    before = {path: path.stat().st_mtime_ns for path in trained[0].rglob("*")}
    report = calls.evaluate(
        *(trained[0], CHAIN),
        checkpoints="all",
        modules=MODULES,
        decode=False,
        batch_size=5,
        output=tmp_path / "report.json",
    )
    assert {path: path.stat().st_mtime_ns for path in trained[0].rglob("*")} == before
    assert [len(each["results"]) for _, each in written] == [1, 2, 3]
    assert json.loads((tmp_path / "report.json").read_text()) == report
    losses = {row["step"]: row["loss"] for row in report["results"]}
    assert list(losses) == [0, 3, 5]
    assert len(set(losses.values())) == 3
    step = min(losses, key=losses.get)
    assert report["best"] == [
        {"task": CHAIN, "metric": "log_perplexity", "step": step, "value": losses[step]}
    ]


def test_a_report_says_how_it_was_made(trained):
    report = calls.evaluate(
        trained[0], PAIRS, modules=MODULES, gin_files=["beam_search.gin"], examples=3
    )
    (row,) = report["results"]
    assert row["decoding"] == {
        "beam_size": 4,
        "alpha": 0.6,
        "temperature": 0.0,
        "sampling_keep_top_k": -1,
        "max_decode_length": 7,
        "decode_length_multiplier": 0.0,
        "decode_length_constant": 7.0,
    }
    assert (row["examples"], row["limit"], row["notes"], row["signatures"]) == (3, 3, [], {})
    assert report["vocabulary"]["kind"] == "bytes"
    assert {"python", "mtf_synthesizer", "tensorflow", "t5", "sacrebleu"} <= set(report["versions"])


def test_the_folder_of_t5s_own_command(trained, tmp_path):
    """T5 binds the vocabulary as an object, which a configuration can't hold, and no records."""
    folder = tmp_path / "m"
    shutil.copytree(trained[0], folder)
    for record in (run_file.RECORD, vocabulary.RECORD):
        (folder / record).unlink()
    config = folder / "operative_config.gin"
    lines = config.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("run.vocabulary", "MIXTURE_NAME"))]
    assert len(kept) == len(lines) - 2
    config.write_text("\n".join(kept).replace("%MIXTURE_NAME", repr(PAIRS)))
    given = {"modules": MODULES, "checkpoints": 5, "examples": 2, "decode": False}
    ours, theirs = (calls.evaluate(path, CHAIN, **given) for path in (trained[0], folder))
    assert theirs["results"] == ours["results"]


def test_a_split_without_labels_has_neither_loss_nor_metrics(trained):
    for given in ({}, {"decode": False}):
        report = calls.evaluate(
            trained[0], BOTH, split="test", checkpoints=5, modules=MODULES, **given
        )
        for row in report["results"]:
            assert "loss" not in row and "tokens" not in row
            assert (row["metrics"], row["decoding"], row["examples"]) == ({}, None, 5)
            assert row["notes"] == ["the split has no labels to compare with"]
    assert f"note: {PAIRS}: the split has no labels" in describe(report)


def test_tasks_without_the_split_are_named_and_left_out(trained):
    report = calls.evaluate(trained[0], SOME_WITH_TEST, split="test", modules=MODULES)
    (row,) = report["results"]
    assert row["task"] == PAIRS
    assert set(report["left_out"]) == {WITHOUT_TEST}
    assert "'test'. Known: train, validation" in describe(report)


def test_evaluates_a_benchmark(trained):
    """All of its tasks that have the split; the report is named by the benchmark."""
    names = (PAIRS, WITHOUT_TEST)
    files = [layout.File(f"{name}.tsv", {name: None}, layout.Identities(5), str) for name in names]
    options = {"benchmark": layout.Benchmark("mine", tuple(files)), "decode": False}
    report = calls.evaluate(trained[0], "mine", modules=MODULES, **options)
    assert [row["task"] for row in report["results"]] == list(names)
    assert (trained[0] / "eval_mine_validation.json").exists()
    report = calls.evaluate(trained[0], "mine", split="test", modules=MODULES, **options)
    assert [row["task"] for row in report["results"]] == [PAIRS]
    assert set(report["left_out"]) == {WITHOUT_TEST}


def test_a_report_keeps_what_was_evaluated_before(trained, tmp_path):
    path = tmp_path / "report.json"

    def evaluate(**settings):
        calls.evaluate(trained[0], PAIRS, modules=MODULES, output=path, **settings)
        rows = json.loads(path.read_text("utf-8"))["results"]
        return [(row["step"], row["limit"], bool(row["decoding"]), "loss" in row) for row in rows]

    assert evaluate(checkpoints=5) == [(5, None, True, True)]
    first = path.read_text("utf-8")
    assert evaluate(checkpoints=5) == [(5, None, True, True)]
    assert path.read_text("utf-8") == first
    evaluate(checkpoints=3, examples=2, decode=False)
    evaluate(checkpoints=3, examples=2, teacher_forced=False)
    assert evaluate(checkpoints="all", decode=False) == [
        (0, None, False, True),
        (3, 2, False, True),
        (3, 2, True, False),
        (3, None, False, True),
        (5, None, True, True),
        (5, None, False, True),
    ]
    with pytest.raises(errors.UserError, match=r"another evaluation: split validation, not test"):
        evaluate(split="test")


def test_where_no_report_can_be_written_nothing_is_evaluated(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(
        errors.UserError, match=r"eval_t_test\.json can't be written: no permission"
    ):
        calls.evaluate(tmp_path, "t", split="test")


def test_predicts_with_identity(trained, tmp_path):
    folder = trained[0]
    output = tmp_path / "new" / "pairs.jsonl"
    result = calls.predict(folder, CHAIN, output=output, modules=MODULES, batch_size=2)
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert result["examples"] == len(rows) == 5
    assert result["step"] == 5
    for index, row in enumerate(rows):
        assert (row["task"], row["split"], row["index"]) == (CHAIN, "test", index)
        assert row["idx"] == 10 + index
        assert row["prediction"] == len(row["output"])
    assert not list(output.parent.glob("*.tmp"))


def test_starts_from_another_run_without_model_flags(trained, tmp_path):
    lengths = ["inputs_length = 13", "targets_length = 7"]  # the run's, not the model's
    result = train(
        tmp_path / "next", synthesizer=None, size=None, init_checkpoint=trained[0], params=lengths
    )
    assert result["step"] == 5 + 3
    assert [row["step"] for row in result["losses"]] == [6, 7, 8]
    assert runner.alphas(tmp_path / "next")  # still R+V


def test_a_language_model(tmp_path):
    folder = tmp_path / "lm"
    train(folder, TEXT, "r", "tiny_lm", ["targets_length = 17", "pack = False"])
    report = calls.evaluate(folder, TEXT, modules=MODULES)
    (row,) = report["results"]
    nats = row["loss"] * row["tokens"]
    assert row["tokens"] == 5 * 17  # cut: 16 of the bytes, and an end
    assert row["metrics"]["perplexity"] == pytest.approx(np.exp(row["loss"]))
    assert row["metrics"]["bits_per_byte"] == pytest.approx(nats / np.log(2) / (5 * 16))
    weights = calls.record_attention(folder, TEXT, modules=MODULES)
    assert [array.shape for array in weights.values()] == [(2, 17, 17)]
    with pytest.raises(errors.UserError, match="no inputs"):
        calls.predict(folder, TEXT, output=tmp_path / "x", modules=MODULES)


def test_mistakes_name_what_is_known(trained, tmp_path):
    folder = trained[0]
    with pytest.raises(errors.UserError, match=rf"unknown task .* Did you mean '{PAIRS}'"):
        train(tmp_path, PAIRS + "x")
    with pytest.raises(errors.UserError, match=r"unknown split .*'vaildation'.*'validation'"):
        calls.evaluate(folder, PAIRS, split="vaildation", modules=MODULES)
    with pytest.raises(errors.UserError, match="latest, all, best or one of 0, 3, 5"):
        calls.evaluate(folder, PAIRS, checkpoints="4", modules=MODULES)
    with pytest.raises(errors.UserError, match="one checkpoint"):
        calls.predict(folder, PAIRS, output="x", checkpoint="all", modules=MODULES)
    with pytest.raises(errors.UserError, match="no module named 'not_there'"):
        train(tmp_path, modules=["not_there"])
    with pytest.raises(errors.UserError, match="choose a size ending in _lm"):
        train(tmp_path, TEXT)
    with pytest.raises(errors.UserError, match="without _lm"):
        train(tmp_path, PAIRS, size="tiny_lm")


def test_another_model_in_the_same_folder_is_refused(trained, tmp_path):
    with pytest.raises(
        errors.UserError, match="another run: --synthesizer rv, not --synthesizer r"
    ):
        train(trained[0], synthesizer="r", steps=9)
    shutil.copytree(trained[0], tmp_path / "m")
    (tmp_path / "m" / run_file.RECORD).unlink()  # as of a model that T5 has trained
    with pytest.raises(errors.UserError, match="another model"):
        train(tmp_path / "m", synthesizer="r", steps=9)


def test_a_loss_that_is_no_number(tmp_path):
    with pytest.raises(errors.UserError) as error:
        train(tmp_path, steps=9, params=["utils.run.learning_rate_schedule = 1e30"], run="pretrain")
    said = str(error.value)
    assert re.search(r"no longer a finite number at step [2-4]\.", said)
    assert f"The last finite checkpoint is {tmp_path}/model.ckpt-0" in said
    assert "clip_gradients.gin" in said


def test_termination_saves_and_the_same_command_goes_on(tmp_path, monkeypatch):
    """In the last step too: what called it must not go on with another run."""
    append = loss_log.LossLog.append

    def terminated(log, row):
        append(log, row)
        if row["step"] in (1, 4):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loss_log.LossLog, "append", terminated)
    before = signal.getsignal(signal.SIGTERM)
    for step in (1, 4):
        with pytest.raises(signals.Terminated, match=f"saved at step {step}"):
            train(tmp_path, steps=4)
        assert signal.getsignal(signal.SIGTERM) is before
    assert [row["step"] for row in runner.loss_curve(tmp_path)] == [1, 2, 3, 4]


def test_termination_while_seen_batches_are_passed_over(tmp_path, monkeypatch):
    """TensorFlow does that in the first step: Python can only act when it is over."""
    train(tmp_path, steps=1)
    build, came = session.build, []

    def signal_once(x):
        if not came:
            came.append(signal.raise_signal(signal.SIGTERM))
        return x

    def signalled(model_dir):
        model = build(model_dir)

        def data(**given):
            def with_signal(example):
                first = next(iter(example))
                x = tf.py_func(signal_once, [example[first]], example[first].dtype)
                return example | {first: tf.ensure_shape(x, example[first].shape)}

            return model.train_dataset_fn(**given).map(with_signal)

        return dataclasses.replace(model, train_dataset_fn=data)

    monkeypatch.setattr(session, "build", signalled)
    with pytest.raises(signals.Terminated, match="saved at step 2"):
        train(tmp_path, steps=4)
    assert came


def test_termination_before_the_first_step_ends_at_once(tmp_path, monkeypatch):
    """While the graph is being built: nothing is trained, nothing saved, nothing left locked."""

    def terminated(task, model):
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("went on")

    with monkeypatch.context() as patched:
        patched.setattr(tasks, "check_features", terminated)
        with pytest.raises(signals.Terminated, match="before the first step"):
            train(tmp_path, steps=4)
    assert not list(tmp_path.glob("model.ckpt-*"))
    with ModelFolder(tmp_path).lock():
        pass


def test_same_seed_same_losses(trained, tmp_path):
    first = trained[1]["losses"][0]["loss"]
    again, other = (train(tmp_path / str(seed), steps=1, seed=seed)["loss"] for seed in (0, 1))
    assert again == first != other
