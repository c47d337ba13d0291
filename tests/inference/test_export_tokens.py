"""A SavedModel of token ids computes what the model does, by TensorFlow's own operations."""

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import random_models
import tensorflow.compat.v1 as tf
import whole_models
from random_models import PAIRS, TEXT
from tensorflow.core.protobuf import saved_model_pb2

from mtf_synthesizer.cli import main

pytestmark = pytest.mark.slow

DRAW = np.random.RandomState(11)
INPUTS = DRAW.randint(3, 380, (2, 7))
INPUTS[0, 5:] = 0
TARGETS = DRAW.randint(3, 380, (2, 6))
TARGETS[1, 4:] = [1, 0]
STEPS = 9  # targets_length of `random_models`


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    random_models.make(folder / "pairs", PAIRS, "rv")
    random_models.make(folder / "text", TEXT, "r", ["max_length = 20"], size="tiny_lm")
    for name, mode in (("pairs", "greedy"), ("pairs", "score"), ("text", "greedy")):
        words = ["export", "--model_dir", str(folder / name), "--mode", mode, "--tokens"]
        words += ["--output", str(folder / f"{name}_{mode}"), "--batch_size", "3"]
        assert main.main([*words, "--module_import", "random_models"]) == 0
    return folder


def answers(folder, **features):
    """What the signature gives, by TensorFlow's loader."""
    with tf.Graph().as_default(), tf.Session() as session:
        loaded = tf.saved_model.loader.load(session, ["serve"], str(folder))
        signature = loaded.signature_def["serving_default"]
        assert {info.dtype for info in signature.inputs.values()} == {tf.int32.as_datatype_enum}
        fed = {signature.inputs[name].name: ids for name, ids in features.items()}
        return session.run({key: info.name for key, info in signature.outputs.items()}, fed)


def test_tokens_are_those_that_the_model_writes(folder):
    expected = random_models.computed(
        folder / "pairs", {"inputs": INPUTS, "targets": TARGETS}, STEPS
    )
    found = answers(folder / "pairs_greedy", inputs=INPUTS)
    np.testing.assert_array_equal(found["inputs"][:, :7], INPUTS)
    assert not found["inputs"][:, 7:].any()
    for row, written in zip(found["outputs"], expected["written"], strict=True):
        end = list(written).index(1) + 1 if 1 in written else STEPS
        np.testing.assert_array_equal(row[:end], written[:end])
        assert not row[end:].any()


def test_a_language_model_continues_a_beginning(folder):
    beginning = INPUTS[1:, :3]
    expected = random_models.computed(
        folder / "text", {"inputs": beginning, "targets": TARGETS}, STEPS
    )
    found = answers(folder / "text_greedy", inputs=beginning)["outputs"][0]
    written = expected["written"][0]
    end = list(written).index(1) + 1 if 1 in written else STEPS
    np.testing.assert_array_equal(found[:end], written[:end])


def test_scores_are_log_likelihoods(folder):
    logits = random_models.computed(
        folder / "pairs", {"inputs": INPUTS, "targets": TARGETS}, STEPS
    )["logits"]
    found = answers(folder / "pairs_score", inputs=INPUTS, targets=TARGETS)
    expected = whole_models.log_likelihoods(logits, TARGETS)
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-4)


def test_what_does_not_fit_fails(folder):
    for inputs in (np.ones((4, 2), int), np.ones((1, 12), int)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="more rows or tokens than"):
            answers(folder / "pairs_greedy", inputs=inputs)


def test_there_is_no_operation_of_sentence_pieces(folder):
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "pairs_greedy" / "saved_model.pb").read_bytes())
    operations = {node.op for node in model.meta_graphs[0].graph_def.node}
    assert "MatMul" in operations or "Einsum" in operations or "BatchMatMulV2" in operations
    assert not {op for op in operations if "entence" in op or "ecode" in op}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--decode is missing"),
        (["--format", "huggingface", "--tokens", "--mode", "beam"], "chooses --decode, --tokens"),
    ],
)
def test_options_that_do_not_go_together(folder, words, message, capsys):
    whole = ["export", "--model_dir", str(folder / "pairs"), "--output", str(folder / "x"), *words]
    assert main.main(whole) == 2
    assert message in capsys.readouterr().err
