"""Exported models, loaded by TensorFlow alone, and lines of text give what `predict` gives."""

import json
import subprocess
import sys

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import runner_tasks
import seqio
import whole_models
from runner_tasks import TEXT
from small_runs import SMALLEST, train
from task_rows import small_model

from mtf_synthesizer import errors
from mtf_synthesizer.cli import main
from mtf_synthesizer.config import request
from mtf_synthesizer.inference import export_modes, predict_lines, text_lines
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import vocabulary

pytestmark = pytest.mark.slow

MODULES = ("runner_tasks",)
PIECES = "synthesizer_test_pairs_of_pieces"
TEXTS = [f"{word} {i}" for i, word in enumerate(runner_tasks.WORDS)]  # as the task's examples
SOME, ANSWERS = TEXTS[:3], ["green", "", "blue"]
BATCH = 5

seqio.TaskRegistry.add(
    PIECES,
    seqio.FunctionDataSource(runner_tasks.pairs, splits=("train", "validation")),
    preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim],
    output_features=vocabulary.output_features(),
)

# TensorFlow and nothing of this package, as a server has it.
LOAD = """
import json, sys
import tensorflow as tf
import tensorflow_text
answers = {}
for name, (folder, texts) in json.load(sys.stdin).items():
    loaded = tf.saved_model.load(folder)
    signature = loaded.signatures["serving_default"]
    found = signature(**{key: tf.constant(value) for key, value in texts.items()})
    answers[name] = {key: value.numpy().tolist() for key, value in found.items()}
assert not [name for name in sys.modules if name.startswith(("mtf_synthesizer", "mesh_"))]
json.dump(answers, sys.stdout, default=lambda text: text.decode("utf-8"))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """R and R+V of SentencePiece, which begin as a trained V, and a language model on bytes."""
    folder = tmp_path_factory.mktemp("models")
    quick = ["dropout_rate = 0.0", "utils.run.learning_rate_schedule = 0.05"]
    pieces = str(small_model(folder))
    off = {"attention_summaries": False}
    train(folder / "v", PIECES, "v", params=quick, vocabulary=pieces, steps=120, **off)
    for name in ("r", "rv"):
        words = ["warm-start", "--from", str(folder / "v"), "--model_dir", str(folder / name)]
        words += ["--synthesizer", name, "--size", "tiny", "--run", "finetune"]
        words += [word for param in SMALLEST for word in ("--gin_param", param)]
        assert main.main([*words, "--gin_param", "batch_size = 4"]) == 0
    lengths = ["max_length = 29", "targets_length = 29", "pack = False"]
    train(folder / "lm", TEXT, "r", "tiny_lm", lengths, steps=1, **off)
    return folder


READ = {
    "greedy": {"inputs": TEXTS},
    "beam": {"inputs": SOME},
    "score": {"inputs": SOME, "targets": ANSWERS},
}


@pytest.fixture(scope="module")
def answers(models, tmp_path_factory):
    """(model, mode) -> what the exported model says."""
    folder = tmp_path_factory.mktemp("exported")
    asked = {}
    for model, mode in [*((m, mode) for m in ("r", "rv") for mode in READ), ("lm", "score")]:
        words = ["export", "--model_dir", str(models / model), "--mode", mode]
        words += ["--output", str(folder / model / mode), "--batch_size", str(BATCH)]
        assert main.main([*words, "--module_import", "runner_tasks"]) == 0
        read = READ[mode] if model != "lm" else {"targets": [" ".join(runner_tasks.WORDS), "red"]}
        asked[f"{model} {mode}"] = [str(folder / model / mode), read]
        record = json.loads(
            (folder / model / mode / "assets.extra/mtf_synthesizer.json").read_text()
        )
        assert record["inputs"] == sorted(read)
        assert (record["mode"], record["batch_size"]) == (mode, BATCH)
    assert sorted(p.name for p in folder.iterdir()) == ["lm", "r", "rv"]
    done = subprocess.run(
        [sys.executable, "-c", LOAD], input=json.dumps(asked), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def predicted(models, tmp_path_factory):
    """(model, mode) -> what `predict` makes of all texts."""
    folder = tmp_path_factory.mktemp("predicted")
    found = {}
    for model in ("r", "rv"):
        for mode, files in (("greedy", []), ("beam", ["beam_search.gin"])):
            path = folder / f"{model}_{mode}"
            given = {"split": "validation", "gin_files": files, "batch_size": 3}
            calls.predict(models / model, PIECES, output=path, modules=MODULES, **given)
            lines = path.read_text("utf-8").splitlines()
            found[model, mode] = [json.loads(line)["output"] for line in lines]
    return found


@pytest.fixture(scope="module")
def encode(models):
    """Text -> tokens, as the models have it."""
    return seqio.SentencePieceVocabulary(str(models / "small.model"), 100).encode


@pytest.mark.parametrize("model", ["r", "rv"])
@pytest.mark.parametrize("mode", ["greedy", "beam"])
def test_decodes_what_predict_decodes(answers, predicted, encode, model, mode):
    found, wanted = answers[f"{model} {mode}"], predicted[model, mode]
    count = len(READ[mode]["inputs"])
    assert len(found["inputs"]) == len(found["outputs"]) == count
    assert len(set(wanted)) > 3
    for ours, theirs in zip(found["outputs"], wanted[:count], strict=True):
        assert encode(ours) == encode(theirs)


@pytest.mark.parametrize("model", ["r", "rv"])
def test_scores_are_log_likelihoods(models, answers, encode, model):
    def rows(texts, length):
        ids = [[*encode(text), 1] for text in texts]
        return np.array([each + [0] * (length - len(each)) for each in ids])

    targets = rows(ANSWERS, 7)
    logits, _ = whole_models.compute(models / model, rows(SOME, 13), targets)
    wanted = whole_models.log_likelihoods(logits, targets)
    found = answers[f"{model} score"]
    np.testing.assert_allclose(found["scores"], wanted, rtol=1e-5, atol=1e-5)
    assert found["targets"] == ANSWERS
    assert len(set(found["scores"])) == 3


def test_a_language_model_scores_a_text(models, answers):
    report = calls.evaluate(models / "lm", TEXT, modules=MODULES)
    (row,) = report["results"]
    found = answers["lm score"]
    assert found["scores"][0] == pytest.approx(-row["loss"] * row["tokens"] / 5, rel=1e-5)
    assert found["scores"][0] < found["scores"][1] < 0


def test_export_refuses_what_it_would_overwrite_or_can_not_do(models, tmp_path, capsys):
    def export(model, mode, *options):
        words = ["export", "--model_dir", str(models / model), "--mode", mode]
        words += ["--output", str(tmp_path / "new"), *options]
        return main.main([*words, "--module_import", "runner_tasks"]), capsys.readouterr().err

    assert export("lm", "greedy")[0] == 2  # T5's export ends what is to be continued
    status, said = export("r", "score", "--checkpoint", "4")
    assert status == 2 and "choose latest, all, best or one of" in said
    assert not list(tmp_path.iterdir())
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "x").write_text("")
    status, said = export("r", "score")
    assert status == 2 and f"{tmp_path}/new exists and is not empty" in said


def test_no_half_written_export_is_left(models, tmp_path, monkeypatch):
    from mtf_synthesizer.files import saving
    from mtf_synthesizer.inference import export as inference_export

    def fail(path, value):
        raise OSError("disk full")

    monkeypatch.setattr(saving, "write_json", fail)
    folder = ModelFolder(models / "r")
    wanted = request.for_model(folder, request.Request(modules=MODULES))
    options = inference_export.ExportOptions("score", tmp_path / "new", batch_size=1)
    with pytest.raises(OSError, match="disk full"):
        inference_export.export(folder, wanted, folder.latest, options)
    assert not list(tmp_path.iterdir())
    assert export_modes.MODES["score"].scores_targets


def test_the_model_of_the_checkpoint_or_none(models, tmp_path, capsys):
    """Of V alone all variables would be found in the checkpoint."""
    (tmp_path / "in").write_text(TEXTS[0], "utf-8")
    given = ["--model_dir", str(models / "rv"), "--module_import", "runner_tasks"]
    given += ["--gin_param", "SyntheticAttention.synthesizer = @DotProduct()"]
    given += ["--output", str(tmp_path / "out")]
    for words in (["export", "--mode", "score"], ["predict", "--input", str(tmp_path / "in")]):
        assert main.main([*words, *given]) == 2
        assert "ckpt-120 belongs to another model: the variable" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


LINES = [TEXTS[2], "", TEXTS[0], "  ", TEXTS[1], "a line of more than thirteen tokens", TEXTS[4]]


def test_lines_in_their_order(models, predicted, tmp_path, capsys):
    (tmp_path / "in").write_text("\n".join(LINES), "utf-8")
    words = ["predict", "--model_dir", str(models / "rv"), "--input", str(tmp_path / "in")]
    words += ["--output", str(tmp_path / "out"), "--batch_size", "2"]
    assert main.main([*words, "--module_import", "runner_tasks"]) == 0
    wanted = predicted["rv", "greedy"]
    found = (tmp_path / "out").read_text("utf-8").split("\n")
    assert [found[i] for i in (0, 2, 4, 6)] == [wanted[i] for i in (2, 0, 1, 4)]
    assert found[1] == found[3] == found[7] == ""
    said = capsys.readouterr().out
    assert "7 lines of step 120" in said and "2 empty, in input and output" in said
    assert "1 cut to the length of the model's inputs (line 6;" in said


def test_an_interrupted_text_goes_on_where_it_was(models, predicted, tmp_path, monkeypatch):
    lines = [*TEXTS[:2], "", *TEXTS[2:]]
    (tmp_path / "in").write_text("\n".join(lines), "utf-8")
    write = text_lines.Output.write

    def interrupting(out, text):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(text)
        write(out, text)

    def run(output):
        with text_lines.opened(str(tmp_path / "in")) as lines:
            return calls.predict_lines(
                models / "r", lines, output=output, modules=MODULES, show_progress=False
            )

    written: list[str] = []
    monkeypatch.setattr(text_lines.Output, "write", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out")
    monkeypatch.setattr(text_lines.Output, "write", write)
    result = run(tmp_path / "out")
    assert (result["examples"], result["decoded"]) == (6, 3)
    assert "3 decoded now" in predict_lines.describe(result)
    wanted = predicted["r", "greedy"]
    found = (tmp_path / "out").read_text("utf-8").split("\n")
    assert found == [*wanted[:2], "", *wanted[2:], ""]
    with pytest.raises(errors.UserError, match="the file exists"):
        text_lines.check_output(str(tmp_path / "out"))
