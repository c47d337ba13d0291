"""Beams against all sequences there are, and scores against the full pass in NumPy."""

import itertools
import json

import mtf_synthesizer.runtime.compat

import gin
import numpy as np
import pytest
import runner_tasks
import whole_models
from harness import VOCAB, bitransformer, constant, run
from runner_tasks import PAIRS, TEXT
from small_runs import train

from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct, Mixture, Random
from mtf_synthesizer.cli import main
from mtf_synthesizer.config import decoding
from mtf_synthesizer.config.gin_files import gin_folder
from mtf_synthesizer.upstream import generation

pytestmark = pytest.mark.slow

END, ALPHA = 1, 0.6
BEST = 12  # a beam keeps a sequence that ends if it is among the best 2 * size continuations
INPUTS = np.array([[5, 6, 7, 0], [3, 2, 9, 4]])


def layer():
    return SyntheticAttention(
        num_heads=3, key_value_size=5, synthesizer=Mixture([Random(4), DotProduct()])
    )


def all_sequences():
    """Every sequence of at most two tokens and an end, as rows of three."""
    words = [t for t in range(VOCAB) if t > END]  # 0 is padding
    pairs = itertools.product(words, repeat=2)
    return np.array([[END, 0, 0], *([t, END, 0] for t in words), *([*pair, END] for pair in pairs)])


def exhaustive(logits, sequences):
    """Log-likelihood and beam score of each sequence, from logits [sequences, 3, words]."""
    logits = logits.astype(np.float64)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    rows, places = np.indices(sequences.shape)
    sums = (logp[rows, places, sequences] * (sequences > 0)).sum(-1)
    return sums, sums / ((5 + (sequences > 0).sum(-1)) / 6) ** ALPHA


def test_beams_are_the_best_of_all_sequences():
    """A wide beam finds the best sequences, in their order, with the scores of the full pass."""
    size = VOCAB * VOCAB
    sequences = all_sequences()
    length = "Bitransformer.decode.max_decode_length = 3"

    def build(mesh):
        model = bitransformer(layer)
        result = generation.write(
            model, constant(mesh, INPUTS, ["batch", "length"]), size, targets_length=3
        )
        scores = generation.log_likelihoods(model, result.inputs, result.ids)
        many = constant(mesh, np.repeat(INPUTS, len(sequences), 0), ["batch", "length"])
        targets = constant(mesh, np.tile(sequences, (len(INPUTS), 1)), ["batch", "length"])
        logits, _ = model.call_simple(many, targets, False)
        found = {"ids": result.ids, "scores": result.beam_scores, "likelihoods": scores}
        return found | {"logits": logits}

    try:
        gin.parse_config([*decoding.beam(size, size), length, *_float32()])
        result = run(build, scale=0.7)
    finally:
        gin.clear_config()
    logits = result["logits"].reshape(len(INPUTS), len(sequences), 3, VOCAB)
    for row in range(len(INPUTS)):
        ids, found = (result[k].reshape(len(INPUTS), size, -1)[row] for k in ("ids", "scores"))
        real = [n for n, each in enumerate(ids) if 0 not in each[: np.argmax(each == END)]]
        real = [n for n in real if found[n, 0] > generation.UNFINISHED]
        sums, scores = exhaustive(logits[row], sequences)
        order = np.argsort(-scores)
        np.testing.assert_array_equal(ids[real][:BEST], sequences[order][:BEST])
        np.testing.assert_allclose(found[real[:BEST], 0], scores[order[:BEST]], rtol=1e-4)
        likelihoods = result["likelihoods"].reshape(len(INPUTS), size, 3)[row][real]
        summed = (likelihoods * (ids[real] > 0)).sum(-1)
        by_ids = {tuple(each): value for each, value in zip(sequences, sums, strict=True)}
        np.testing.assert_allclose(summed, [by_ids[tuple(i)] for i in ids[real]], rtol=1e-4)


def _float32():
    return (gin_folder() / "float32.gin").read_text().replace("utils.", "").splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that writes letters, and a language model."""
    folder = tmp_path_factory.mktemp("models")
    quick = ["dropout_rate = 0.0", "utils.run.learning_rate_schedule = 0.05"]
    train(folder / "pairs", PAIRS, "rv", params=quick, steps=100)
    lengths = ["max_length = 41", "targets_length = 29", "pack = False"]
    train(folder / "text", TEXT, "r", "tiny_lm", [*quick, *lengths], steps=60)
    return folder


def predict(folder, *words, status=0):
    typed = ["predict", "--model_dir", str(folder), "--module_import", "runner_tasks", *words]
    assert main.main(typed) == status


def likelihood(model, text, output, is_finished):
    """Of an output, by the full pass; and the number of its tokens."""
    ends = [END] if is_finished else []
    inputs, targets = (
        [*runner_tasks.VOCABULARY.encode(t), *e] for t, e in ((text, [END]), (output, ends))
    )
    inputs = [inputs + [0] * (13 - len(inputs))]
    logits, _ = whole_models.compute(model, inputs, [targets])
    return whole_models.log_likelihoods(logits, [targets])[0], len(targets)


def check(model, text, records):
    """Scores are those of the full pass, in the order of the beam."""
    for record in records:
        wanted, tokens = likelihood(model, text, record["output"], record["is_finished"])
        assert record["tokens"] == tokens
        np.testing.assert_allclose(record["log_likelihood"], wanted, rtol=1e-4)
        if "beam_score" in record:
            penalty = ((5 + tokens) / 6) ** ALPHA
            np.testing.assert_allclose(record["beam_score"], wanted / penalty, rtol=1e-4)


def test_n_best_of_a_task_and_of_lines(folder, tmp_path, capsys):
    model, out = folder / "pairs", tmp_path / "out.jsonl"
    beams = ["--decode", "beam", "--num_return_sequences", "3"]
    words = ["--task", PAIRS, "--split", "validation", "--examples", "2", "--output", str(out)]
    predict(model, *words, *beams)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["idx"] for record in records] == [10, 11]
    for word, record in zip(["red 0", "green 1"], records, strict=True):
        outputs = record["outputs"]
        assert len({each["output"] for each in outputs}) == 3
        assert outputs[0].items() - {("prediction", 0)} <= record.items()
        assert [each["prediction"] for each in outputs] == [len(e["output"]) for e in outputs]
        scores = [each["beam_score"] for each in outputs]
        assert scores == sorted(scores, reverse=True)
        check(model, word, outputs[:2])
    capsys.readouterr()
    (tmp_path / "in.txt").write_text("red 0\n\ngreen 1\n")
    predict(model, "--input", str(tmp_path / "in.txt"), "--output", "-", *beams)
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [len(line) for line in lines] == [3, 0, 3]
    for line, record in zip(lines[::2], records, strict=True):
        assert [each["output"] for each in line] == [e["output"] for e in record["outputs"]]
    assert "3 lines of step 100 written to -" in captured.err


def test_scores_of_greedy_decoding_and_of_samples(folder, tmp_path, capsys):
    model = folder / "pairs"
    (tmp_path / "in.txt").write_text("red 0\nwxyz\n")  # the second is nothing that it has learned
    read = ["--input", str(tmp_path / "in.txt"), "--output", "-"]
    predict(model, *read, "--decode", "greedy")
    plain = capsys.readouterr().out.splitlines()
    predict(model, *read, "--decode", "greedy", "--scores")
    scored = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line[0]["output"] for line in scored] == plain
    check(model, "red 0", scored[0])
    samples = {}
    for seed in ("1", "1", "2"):
        words = ["--decode", "sample", "--num_return_sequences", "8", "--seed", seed]
        predict(model, *read, *words)
        samples.setdefault(seed, []).append(capsys.readouterr().out)
    assert samples["1"][0] == samples["1"][1] != samples["2"][0]
    first = json.loads(samples["1"][0].splitlines()[0])
    check(model, "red 0", [each for each in first if each["output"].isascii()][:1])


def test_a_seed_repeats_samples_without_scores(folder, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("wxyz\n" * 8)  # nothing that the model has learned
    lines = ["--input", str(tmp_path / "in.txt"), "--output", "-"]
    task = ["--task", PAIRS, "--split", "validation", "--examples", "2", "--output", "-"]
    found = []
    for read, seed in ((lines, "1"), (lines, "1"), (lines, "2"), (task, "1"), (task, "1")):
        predict(folder / "pairs", *read, "--decode", "sample", "--seed", seed)
        found.append(capsys.readouterr().out)
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]
    assert "log_likelihood" not in "".join(found)


def test_a_language_model_continues_a_text(folder, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("red gre\n")
    read = ["--input", str(tmp_path / "in.txt"), "--output", "-"]
    predict(folder / "text", *read)
    (plain,) = capsys.readouterr().out.splitlines()
    predict(folder / "text", *read, "--scores")
    ((scored,),) = map(json.loads, capsys.readouterr().out.splitlines())
    assert scored["output"] == plain
    assert scored["log_likelihood"] < 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_return_sequences", "2"], "the decoding writes 1 for each input"),
        (["--decode", "greedy", "--num_return_sequences", "2"], "greedy decoding writes one"),
        (["--decode", "beam", "--beam_size", "2", "--num_return_sequences", "3"], "--beam_size 2"),
        (["--beam_size", "2"], "--beam_size 2: belongs to --decode beam"),
        (["--decode", "beam", "--temperature", "0.5"], "belongs to --decode sample"),
    ],
)
def test_options_that_do_not_go_together(folder, words, message, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("red 0\n")
    read = ["--input", str(tmp_path / "in.txt"), "--output", "-"]
    predict(folder / "pairs", *read, *words, status=2)
    assert message in capsys.readouterr().err
