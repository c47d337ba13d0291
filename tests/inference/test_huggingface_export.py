"""Exported models, read by an independent T5 in NumPy, compute what our graphs compute.

`make check-huggingface` holds the same against PyTorch, for every function and with a cache.
"""

import json
import pathlib
import re
import shlex
import shutil

import mtf_synthesizer.runtime.compat

import doc_commands
import huggingface as checked  # tests/checks
import numpy as np
import numpy_t5
import pytest
import random_models
import safetensors.numpy
from exported_kinds import (
    BANDED,
    CROSS_BANDED,
    CROSS_GROUPS,
    EVERYTHING,
    GATED,
    GROUPS,
    stretched,
)
from random_models import PAIRS, TEXT
from task_rows import small_model

from mtf_synthesizer.cli import main
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.files import saving
from mtf_synthesizer.model_folder import kept_best
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.training.warm_start import huggingface

pytestmark = pytest.mark.slow

MODELLING_FILE = (
    pathlib.Path(main.__file__).parents[1] / "inference/huggingface/modeling_synthesizer.py"
)
DRAW = np.random.RandomState(3)
INPUTS = DRAW.randint(3, 380, (2, 11))
INPUTS[0, 7:] = 0
TARGETS = DRAW.randint(3, 380, (2, 9))
READ = np.concatenate([np.zeros((2, 1), int), TARGETS[:, :-1]], 1)
OWN_HEADS = ("SyntheticAttention.num_heads = 2", "SyntheticAttention.key_value_size = 7")
# Shared relative biases that begin in the second layer, of other heads than those of groups.
BY_LAYER = "encoder=r*1,v*1;decoder=heads_rv*1,v*1"
ONE_HEAD = ("num_heads = 1", "Sum.functions = [@Dense(), @FactorizedRandom(), @DotProduct()]")


def export(folder, output, *options):
    words = ["export", "--format", "huggingface", "--model_dir", str(folder)]
    words += ["--output", str(output), "--module_import", "random_models", *options]
    return main.main(words)


@pytest.mark.parametrize(
    ("task", "synthesizer", "params", "kind"),
    [
        (PAIRS, None, (), "T5ForConditionalGeneration"),
        (PAIRS, "v", GATED, "T5ForConditionalGeneration"),
        (PAIRS, "rv", (*EVERYTHING, *OWN_HEADS), "SynthesizerForConditionalGeneration"),
        (PAIRS, "d_plus_v", ONE_HEAD, "SynthesizerForConditionalGeneration"),
        (TEXT, "rd", (), "SynthesizerForCausalLM"),
        (PAIRS, "heads_rv", GROUPS, "SynthesizerForConditionalGeneration"),
        (TEXT, "bias", (), "SynthesizerForCausalLM"),
        (PAIRS, "banded", (*BANDED, "num_heads = 1"), "SynthesizerForConditionalGeneration"),
        (PAIRS, "rv", stretched(11), "SynthesizerForConditionalGeneration"),
        (PAIRS, BY_LAYER, ("num_heads = 4",), "SynthesizerForConditionalGeneration"),
        (PAIRS, "v cross/r.gin", (), "SynthesizerForConditionalGeneration"),
        (PAIRS, "v cross/v.gin", CROSS_GROUPS, "SynthesizerForConditionalGeneration"),
        (PAIRS, "v cross/v.gin", CROSS_BANDED, "SynthesizerForConditionalGeneration"),
    ],
    ids=[
        "stock",
        "v",
        "everything",
        "one head",
        "lm",
        "groups",
        "bias lm",
        "banded",
        "stretched",
        "by layer",
        "cross r",
        "cross groups",
        "cross banded",
    ],
)
def test_exported_models_compute_the_same(task, synthesizer, params, kind, tmp_path):
    size = "tiny_lm" if task == TEXT else "tiny"
    random_models.make(tmp_path / "m", task, synthesizer, params, size=size)
    assert export(tmp_path / "m", tmp_path / "export") == 0
    config = json.loads((tmp_path / "export" / "config.json").read_text())
    assert config["architectures"] == [kind]
    assert (tmp_path / "export" / "modeling_synthesizer.py").exists() == kind.startswith("Synth")
    inputs = INPUTS if task == PAIRS else INPUTS[:, :4]
    ours = random_models.computed(tmp_path / "m", {"inputs": inputs, "targets": TARGETS}, 2)
    found = numpy_t5.logits(tmp_path / "export", inputs if task == PAIRS else None, READ)
    assert np.abs(found).max() > 1
    np.testing.assert_allclose(found, ours["logits"], atol=1e-4)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """V with SentencePiece, which is T5, and what it was exported to."""
    folder = tmp_path_factory.mktemp("plain")
    pieces = str(small_model(folder))
    random_models.make(folder / "m", PAIRS, "v", vocabulary=pieces)
    step = ModelFolder(folder / "m").latest
    row = {"task": PAIRS, "step": step.step, "checkpoint": step.fingerprint}
    report = {
        "task": PAIRS,
        "split": "validation",
        "results": [row | {"metrics": {"accuracy": 62.5}, "examples": 8, "decoding": "greedy"}],
    }
    saving.write_json(folder / "m" / f"eval_{PAIRS}_validation.json", report)
    assert export(folder / "m", folder / "export") == 0
    return folder


def test_what_is_exported_can_be_the_start_of_a_model(plain):
    start = huggingface.Start.of(plain / "export")
    reader = start.reader()
    latest = ModelFolder(plain / "m").latest
    import tensorflow as tf

    saved = tf.train.load_checkpoint(latest.path)
    names = saved.get_variable_to_shape_map().keys() - {"global_step"}
    theirs = {name.replace("SyntheticAttention", "SelfAttention"): name for name in names}
    assert theirs.keys() == reader.get_variable_to_shape_map().keys()
    for name, ours in theirs.items():
        np.testing.assert_array_equal(reader.get_tensor(name), saved.get_tensor(ours))
    assert start.vocabulary == str(plain / "export" / "spiece.model")


def test_all_files_have_the_same_permissions(plain):
    """safetensors' own way to write a file keeps it from all other users."""
    modes = {path.name: path.stat().st_mode for path in (plain / "export").iterdir()}
    assert len(set(modes.values())) == 1, modes


def test_a_round_trip_with_training_between(plain, tmp_path):
    sizes = ["inputs_length = 11", "targets_length = 9", "batch_size = 2"]
    common = ["--task", PAIRS, "--run", "finetune", "--module_import", "random_models"]
    common += [word for size in sizes for word in ("--gin_param", size)]
    start, begun, trained = str(plain / "export"), str(tmp_path / "begun"), str(tmp_path / "m")
    assert main.main(["warm-start", "--from", start, "--model_dir", begun, *common]) == 0
    words = ["--init_checkpoint", begun, "--model_dir", trained, "--steps", "2"]
    assert main.main(["train", *words, "--no_attention_summaries", *common]) == 0
    assert export(tmp_path / "m", tmp_path / "again") == 0
    read = {"inputs": INPUTS % 130, "targets": TARGETS % 130}  # which has 133 pieces
    ours = random_models.computed(tmp_path / "m", read, 2)
    folders = (plain / "export", tmp_path / "again")
    before, after = (numpy_t5.logits(each, INPUTS % 130, READ % 130) for each in folders)
    np.testing.assert_allclose(after, ours["logits"], atol=1e-4)
    assert np.abs(after - before).max() > 1e-3


def test_the_card_has_the_scores_and_the_tokenizer_its_model(plain):
    card = (plain / "export" / "README.md").read_text()
    assert f"| {PAIRS} | validation | accuracy | 62.5 | all |" in card
    assert "AutoModelForSeq2SeqLM.from_pretrained(folder).eval()" in card
    assert "trust_remote_code" not in card
    settings = json.loads((plain / "export" / "tokenizer_config.json").read_text())
    assert (settings["tokenizer_class"], settings["extra_ids"]) == ("T5Tokenizer", 100)
    copy = (plain / "export" / "spiece.model").read_bytes()
    assert copy == (plain / "m" / "vocabulary.model").read_bytes()


def test_the_card_of_a_best_checkpoint_has_the_scores_of_the_training(tmp_path):
    """Also where the run has removed the checkpoint, and where the folder best is the model's."""
    model = tmp_path / "m"
    random_models.make(model, PAIRS, "v")
    step = ModelFolder(model).latest.step
    best = kept_best.KeptBest(
        PAIRS, "bleu", step, 41.25, examples=12, scores={"bleu": 41.25, "loss": 1.5}
    )
    kept_best.keep(ModelFolder(model).path, best)
    for file in model.glob(f"model.ckpt-{step}.*"):
        file.unlink()
    assert export(model, tmp_path / "a", "--checkpoint", "best") == 0
    assert export(model / "best", tmp_path / "b") == 0
    for folder in ("a", "b"):
        card = (tmp_path / folder / "README.md").read_text()
        assert f"at step {step}, on 12 examples of the split\nvalidation of {PAIRS}. bleu" in card
        assert "| bleu | 41.25 |\n| loss | 1.5 |\n" in card
        assert "None: no report" not in card
    # Of other values at the same step nothing was measured.
    random_models.make(tmp_path / "other", PAIRS, "v", seed=1)
    for file in (tmp_path / "other").glob(f"model.ckpt-{step}.*"):
        shutil.copy(file, model)
    assert export(model, tmp_path / "c") == 0
    assert "None: no report" in (tmp_path / "c" / "README.md").read_text()


def test_the_card_of_a_best_checkpoint_has_reports_that_name_it(tmp_path):
    model = tmp_path / "m"
    random_models.make(model, PAIRS, "v")
    latest = ModelFolder(model).latest
    kept_best.keep(ModelFolder(model).path, kept_best.KeptBest(PAIRS, "bleu", latest.step, 4.0))
    row = {"task": PAIRS, "step": latest.step, "checkpoint": latest.fingerprint}
    results = [row | {"metrics": {"bleu": 4.5}, "examples": 8, "limit": 8}]
    report = {"task": PAIRS, "split": "test", "results": results}
    saving.write_json(model / f"eval_{PAIRS}_test.json", report)
    for file in model.glob(f"model.ckpt-{latest.step}.*"):
        file.unlink()
    assert export(model, tmp_path / "a", "--checkpoint", "best") == 0
    card = (tmp_path / "a" / "README.md").read_text()
    assert f"| {PAIRS} | test | bleu | 4.5 | 8 |" in card
    assert "Measured while training" not in card  # the record of an earlier release has no scores


def test_the_tutorial_from_a_file_to_pytorch(plain, tmp_path, monkeypatch, capsys):
    """docs/finetune_t5.md, with a small T5 of random weights and few steps."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(plain / "export", "flan-t5-small")
    for name in ("pairs.tsv", "dev.tsv", "new.tsv"):
        pathlib.Path(name).write_text("".join(f"{w} fox\t{w}\n" for w in ("lazy", "dog", "bad")))
    warm, planned, train, predict, exported = doc_commands.of_page("finetune_t5.md")
    doc_commands.run(warm)
    doc_commands.run(planned)
    assert "upper: lazy fox" in capsys.readouterr().out
    assert not pathlib.Path("runs/rv_of_flan_tuned").exists()
    small = ("--steps", "4", "--evaluate_every", "2", "--batch_size", "3")
    doc_commands.run(train, *small, "--no_attention_summaries")
    capsys.readouterr()
    doc_commands.run(predict)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 3
    for row in rows:
        assert all(output["log_likelihood"] < 0 for output in row["outputs"])
        values = [output["beam_score"] for output in row["outputs"] if output["is_finished"]]
        assert values == sorted(values, reverse=True)
    doc_commands.run(exported)
    best = kept_best.read(ModelFolder.at("runs/rv_of_flan_tuned").path)
    card = pathlib.Path("runs/rv_for_pytorch/README.md").read_text()
    assert f"at step {best.step}, on 3 examples of the split\nvalidation of own_data" in card
    assert {*best.scores} >= {"accuracy", "bleu", "loss"}
    assert all(f"| {name} | {value:.4g} |" in card for name, value in best.scores.items())
    assert 'tokenizer("upper: a text' in card
    assert '| every input begins with | `"upper: "` |' in card


def test_a_used_folder_is_left_alone(plain, capsys):
    assert export(plain / "m", plain / "export") == 2
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("SyntheticAttention.num_memory_heads = 1", "num_memory_heads is 1"),
        ("SyntheticAttention.extra_logit = 0.0", "extra_logit is 0.0"),
        ("DenseReluDense.activation = 'swish'", "feed-forward"),
        ("transformer.LayerStack.sublayers_final = []", "sublayers_final differ"),
        ("SyntheticAttention.relative_attention_type = 'contextual'", "'contextual'"),
    ],
)
def test_what_transformers_lacks_is_refused(param, message, tmp_path, capsys):
    random_models.make(tmp_path / "m", PAIRS, "v", [param])
    assert export(tmp_path / "m", tmp_path / "export") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "export").exists()


def test_the_check_with_pytorch_has_every_function():
    assert {*gin_files.known("synthesizers")} <= {*checked.MODELS}
    assert {f"cross_{name}" for name in gin_files.known("cross")} <= {*checked.MODELS}


def test_the_modelling_file_needs_nothing_of_this_package():
    lines = [line.split() for line in MODELLING_FILE.read_text("utf-8").splitlines()]
    imported = {line[1].partition(".")[0] for line in lines if line[:1] in (["import"], ["from"])}
    assert imported == {"__future__", "dataclasses", "math", "typing", "torch", "transformers"}
    assert safetensors.numpy  # what reads the weights here is not what writes them there


def test_the_page_names_what_is_there():
    page = (pathlib.Path(__file__).parents[2] / "docs/huggingface.md").read_text("utf-8")
    commands = re.findall(r"^    mtf_synthesizer (.+)$", page, re.MULTILINE)
    parsed = [parser().parse_args(shlex.split(each)) for each in commands]
    assert [each.command for each in parsed] == ["warm-start", "export", "export"]
    assert [getattr(each, "tokens", None) for each in parsed] == [None, False, True]
    source = MODELLING_FILE.read_text("utf-8")
    for name in re.findall(r"`(Synthesizer\w+)`", page):
        assert f"class {name}(" in source
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", page, re.DOTALL)):
        compile(example, f"example {number}", "exec")
