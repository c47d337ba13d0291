"""Models of transformers begin models of ours that compute the same; nothing malformed gets in.

tests/golden/huggingface holds random models, and their logits, that transformers itself has made
and computed: `make check-huggingface` does the same with the release that is installed there.
"""

import json
import pathlib
import shutil

import mtf_synthesizer.runtime.compat

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import whole_models
from task_rows import small_model

from mtf_synthesizer.cli import main
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.model_folder import vocabulary as vocabulary_record
from mtf_synthesizer.training.warm_start import huggingface

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "huggingface"
MODELS = ("t5", "t5_1_1", "mt5", "one_head")
WORDS = 53


def warm_start(start, folder, *options):
    words = ["warm-start", "--from", str(start), "--model_dir", str(folder), "--run", "finetune"]
    words += ["--module_import", "runner_tasks", "--task", "synthesizer_test_pairs", *options]
    return main.main(words)


def logits(folder, expected):
    """Of our model, for what transformers' read; our decoder reads targets after a 0."""
    targets = np.roll(expected["targets"], -1, 1)
    targets[:, -1] = 3
    return whole_models.compute(folder, expected["inputs"], targets)[0][..., :WORDS]


@pytest.mark.parametrize(
    ("model", "synthesizer"),
    [*((model, None) for model in MODELS), ("t5_1_1", "rdv"), ("t5", "v")],
)
def test_logits_are_those_of_transformers(model, synthesizer, tmp_path):
    expected = np.load(GOLDEN / model / "expected.npz")
    options = ("--synthesizer", synthesizer) if synthesizer else ()
    assert warm_start(GOLDEN / model, tmp_path / "m", *options) == 0
    assert np.abs(expected["logits"]).max() > 1
    found = logits(tmp_path / "m", expected)
    np.testing.assert_allclose(found, expected["logits"], atol=1e-4)
    record = json.loads((tmp_path / "m" / "warm_start.json").read_text())
    assert record["step"] == 0
    assert not record["dropped"]


def test_half_precision_is_read(tmp_path):
    shutil.copytree(GOLDEN / "t5", tmp_path / "half")
    path = tmp_path / "half" / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    halves = {name: value.astype(ml_dtypes.bfloat16) for name, value in tensors.items()}
    safetensors.numpy.save_file(halves, path)
    reader = huggingface.Start.of(tmp_path / "half").reader()
    found = reader.get_tensor("encoder/block_001/layer_000/SelfAttention/q")
    whole = tensors["encoder.block.1.layer.0.SelfAttention.q.weight"].T
    assert found.dtype == np.float32
    assert 0 < np.abs(found - whole).max() < 0.01


def test_ids_that_mesh_adds_are_as_padding():
    reader = huggingface.Start.of(GOLDEN / "t5_1_1").reader()
    kernel = reader.get_tensor("decoder/logits/kernel")
    assert kernel.shape == (12, 128)
    np.testing.assert_array_equal(kernel[:, WORDS:], np.repeat(kernel[:, :1], 128 - WORDS, 1))


def test_a_tokenizer_in_the_folder_is_the_vocabulary(tmp_path):
    """A SentencePiece model that leaves room for sentinels, as T5's."""
    start = tmp_path / "t5"
    shutil.copytree(GOLDEN / "t5", start)
    shutil.copy(small_model(tmp_path), start / "spiece.model")
    assert huggingface.Start.of(start).vocabulary == str(start / "spiece.model")
    assert warm_start(start, tmp_path / "m") == 2  # more pieces than 128
    (start / "spiece.model").unlink()
    (start / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    assert huggingface.Start.of(start).vocabulary == vocabulary_record.BYTES


def changed(**fields):
    return json.dumps(json.loads((GOLDEN / "t5" / "config.json").read_text()) | fields)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{", "not readable as JSON"),
        ("config.json", "[" * 100_000, "not readable as JSON"),
        ("config.json", "[]", "not a JSON object"),
        ("config.json", changed(model_type="bert"), "model_type is 'bert'"),
        ("config.json", changed(model_type=None), "model_type is None"),
        ("config.json", changed(d_model="12"), "d_model is '12'"),
        ("config.json", changed(num_layers=True), "num_layers is True"),
        ("config.json", changed(num_layers=10**6), "missing: encoder.block.2"),
        ("config.json", changed(num_heads=-3), "num_heads is -3"),
        ("config.json", changed(d_kv=4), "wrong shape or type"),
        ("config.json", changed(vocab_size=128), r"shared.weight F32 \[53, 12\], not \[128, 12\]"),
        ("config.json", changed(num_decoder_layers=1), "unknown: decoder.block.1"),
        ("config.json", changed(relative_attention_max_distance=64), "max_distance is 64"),
        ("config.json", changed(relative_attention_num_buckets=30), "multiple of 4"),
        ("config.json", changed(feed_forward_proj="gated-silu"), "feed_forward_proj"),
        ("config.json", changed(feed_forward_proj=["relu"]), "feed_forward_proj"),
        ("config.json", changed(dropout_rate=float("nan")), "dropout_rate is nan"),
        ("config.json", changed(layer_norm_epsilon="1e-6\nx = 1"), "layer_norm_epsilon"),
        ("config.json", changed(tie_word_embeddings="no"), "tie_word_embeddings is 'no'"),
        (
            "config.json",
            changed(is_encoder_decoder=False),
            "is_encoder_decoder is False, but it must be true",
        ),
        ("model.safetensors", "junk", "not readable as safetensors"),
        ("model.safetensors", None, "model.safetensors and"),
    ],
)
def test_what_is_malformed_is_one_error(file, content, message, tmp_path):
    folder = tmp_path / "t5"
    shutil.copytree(GOLDEN / "t5", folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(UserError, match=message) as raised:
        huggingface.Start.of(folder)
    assert len(str(raised.value)) < 1500


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"shared.weight": "../t5/model.safetensors"}, "not the name of a file"),
        ({"shared.weight": 7}, "not the name of a file"),
        ({"shared.weight": "gone.safetensors"}, "is missing beside it"),
        ({"lost": "model-00001-of-00005.safetensors"}, "its files lack lost"),
        (None, "not an index"),
    ],
)
def test_an_index_names_files_beside_it(weight_map, message, tmp_path):
    folder = tmp_path / "t5"
    shutil.copytree(GOLDEN / "t5_1_1", folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map} if weight_map else {}))
    with pytest.raises(UserError, match=message):
        huggingface.Start.of(folder)


def test_a_fast_tokenizer_alone_is_refused(tmp_path, capsys):
    start = tmp_path / "t5"
    shutil.copytree(GOLDEN / "t5", start)
    (start / "tokenizer.json").write_text("{}")
    assert warm_start(start, tmp_path / "m") == 2
    assert "tokenizer.json is not read. Copy spiece.model" in capsys.readouterr().err


def test_pickles_are_not_read(tmp_path):
    shutil.copy(GOLDEN / "t5" / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="can run code"):
        huggingface.Start.of(tmp_path)


def test_the_size_stands_in_the_folder(tmp_path, capsys):
    assert warm_start(GOLDEN / "t5", tmp_path / "m", "--size", "tiny") == 2
    assert "Leave --size out" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
