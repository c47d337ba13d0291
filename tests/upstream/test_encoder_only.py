"""Encoder-only models: padding does not matter; classes are learned, evaluated and predicted."""

import json

import mtf_synthesizer.runtime.compat

import calls
import harness
import mesh_tensorflow as mtf
import numpy as np
import pytest
import runner_tasks
import seqio
import tensorflow as tf
from mesh_tensorflow.transformer import transformer
from small_runs import SMALLEST
from variants import VARIANTS

from mtf_synthesizer import errors
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.upstream import encoder_only

TASK = "synthesizer_test_classes"
IDS = {"red": 120, "green": 121}  # of the byte vocabulary: u and v


def encoder(variant, mark_padding=True):
    """One layer with an output over the vocabulary, as Mesh builds the type "aligned"."""
    layer = SyntheticAttention(
        synthesizer=VARIANTS[variant](),
        num_heads=harness.HEADS,
        key_value_size=harness.D_KV,
        dropout_rate=0.0,
        relative_attention_type=None,
    )
    layers = harness.stack([layer])
    initial = [encoder_only.sublayer_mark_padding] if mark_padding else []
    layers._sublayers_initial = initial
    return transformer.Unitransformer(
        layer_stack=layers,
        d_model=harness.D_MODEL,
        input_vocab_size=harness.VOCAB,
        output_vocab_size=harness.VOCAB,
        autoregressive=False,
        max_length=64,
        vocab_divisor=1,
        positional_embedding=False,
    )


def logits_of(tokens, variant, **options):
    def build(mesh):
        inputs = harness.constant(mesh, tokens, ["batch", "length"])
        logits, _ = encoder(variant, **options).call_simple(
            inputs, targets=None, compute_loss=False, mode="eval"
        )
        return {"logits": logits}

    return harness.run(build)["logits"]


TOKENS = np.array([[5, 7, 2, 11], [3, 3, 17, 1]])
PADDED = np.pad(TOKENS, [(0, 0), (0, 3)])


@pytest.mark.parametrize("variant", ["v", "r", "fr", "d", "fd", "rdv"])
def test_padding_does_not_matter(variant):
    alone = logits_of(TOKENS, variant)
    np.testing.assert_allclose(logits_of(PADDED, variant)[:, :4], alone, atol=1e-5)


def test_without_the_sublayer_it_would():
    padded = logits_of(PADDED, "v", mark_padding=False)[:, :4]
    assert np.abs(padded - logits_of(TOKENS, "v", mark_padding=False)).max() > 0.01


def predictions(function):
    def build(mesh):
        features = {"inputs": harness.constant(mesh, PADDED, ["batch", "length"])}
        return {"ids": function(encoder("rdv"), features, mtf.VariableDType(tf.float32))}

    return harness.run(build)["ids"]


def test_predictions_are_the_likeliest_tokens():
    likeliest = logits_of(PADDED, "rdv").argmax(-1)
    np.testing.assert_array_equal(
        predictions(encoder_only.predict_aligned), likeliest * (PADDED > 0)
    )
    classes = predictions(encoder_only.predict_class)
    np.testing.assert_array_equal(classes[:, 0], likeliest[:, 0])
    assert (classes[:, 1:] == 1).all()


def test_blanks_alone_are_predicted():
    likeliest = logits_of(PADDED, "rdv").argmax(-1)
    is_blank = PADDED == encoder_only.BLANK
    assert 0 < is_blank.sum() < is_blank.size
    expected = np.maximum(likeliest, 2) * is_blank
    np.testing.assert_array_equal(predictions(encoder_only.predict_blanks), expected)


def texts(split, shuffle_files=False, seed=None):
    """The second word decides; texts of several lengths, so that rows are padded."""
    rows = [(f"{'x' * n} {colour}", colour) for n in (1, 2, 5) for colour in IDS]
    ids = [seqio.ByteVocabulary().encode(text) for text, _ in rows]
    ragged = tf.data.Dataset.from_generator(
        lambda: (
            {
                "inputs": np.array(row, np.int32),
                "targets": np.array([IDS[colour]] + [0] * (len(row) - 1), np.int32),
                "targets_pretokenized": chr(IDS[colour] - 3),
            }
            for row, (_, colour) in zip(ids, rows, strict=True)
        ),
        output_signature={
            "inputs": tf.TensorSpec([None], tf.int32),
            "targets": tf.TensorSpec([None], tf.int32),
            "targets_pretokenized": tf.TensorSpec([], tf.string),
        },
    )
    return ragged


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    if TASK not in seqio.TaskRegistry.names():
        feature = seqio.Feature(seqio.ByteVocabulary(), add_eos=False)
        seqio.TaskRegistry.add(
            TASK,
            seqio.FunctionDataSource(texts, splits=("train", "validation", "test")),
            preprocessors=[],
            output_features={"inputs": feature, "targets": feature},
            metric_fns=[runner_tasks.accuracy],
        )
    folder = tmp_path_factory.mktemp("classes") / "m"
    calls.train(
        folder,
        TASK,
        synthesizer="rv",
        size="tiny_encoder",
        run="finetune",
        steps=60,
        batch_size=6,
        gin_params=[
            *SMALLEST,
            "targets_length = 13",
            "pack = False",
            "dropout_rate = 0.0",
            "utils.run.learning_rate_schedule = 0.03",
            "utils.run.predict_fn = @predict_class",
        ],
        modules=(),
        show_progress=False,
    )
    return folder


@pytest.mark.slow
def test_classes_are_learned(trained):
    row = calls.evaluate(trained, TASK, modules=())["results"][0]
    assert row["metrics"]["accuracy"] == 1
    assert row["token_accuracy"] == 1
    assert row["tokens"] == 6  # one for each text


def test_classes_are_predicted(trained, tmp_path):
    calls.predict(trained, TASK, output=tmp_path / "p.jsonl", modules=())
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [line["output"] for line in lines] == ["u", "v"] * 3


@pytest.mark.parametrize(
    ("task", "size", "advice"),
    [
        ("synthesizer_imdb_v001", "tiny", "choose a size ending in _encoder"),
        ("synthesizer_imdb_v001", "tiny_lm", "choose a size without _lm"),
        ("synthesizer_c4_mlm_v001", "tiny_encoder", "its data can't be read"),
        (runner_tasks.PAIRS, "tiny_encoder", "choose a size without _encoder"),
    ],
)
def test_a_task_for_another_kind_of_model_is_refused(tmp_path, task, size, advice):
    runner_tasks.register()
    with pytest.raises(errors.UserError, match=advice):
        calls.train(tmp_path / "m", task, synthesizer="r", size=size, steps=1, vocabulary="bytes")
