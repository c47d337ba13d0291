"""Given targets: sums, tokens and choices are those of the full pass in NumPy."""

import json

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import runner_tasks
import whole_models
from runner_tasks import PAIRS, TEXT
from small_runs import train

from mtf_synthesizer.cli import main

pytestmark = pytest.mark.slow

END = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder-decoder and both kinds of language models."""
    folder = tmp_path_factory.mktemp("models")
    train(folder / "pairs", PAIRS, "rv")
    lengths = ["max_length = 41", "targets_length = 29", "pack = False"]
    train(folder / "text", TEXT, "r", "tiny_lm", lengths, steps=1)
    prefix = ["run.model_type = 'delimited_lm'", "max_length = 20", "pack = False"]
    train(folder / "prefix", PAIRS, "r", "tiny_lm", prefix, steps=1)
    return folder


def score(model, *words, status=0):
    typed = ["score", "--model_dir", str(model), "--module_import", "runner_tasks", *words]
    assert main.main(typed) == status


def encode(text):
    return [*runner_tasks.VOCABULARY.encode(text), END]


def of_pairs(model, inputs, target):
    """The log-likelihood of a target in NumPy, and its number of tokens."""
    rows = [encode(inputs)], [encode(target)]
    logits, _ = whole_models.compute(model, *rows)
    return whole_models.log_likelihoods(logits, rows[1])[0], len(rows[1][0])


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


PAIRS_OF_TEXTS = [("red 0", "red"), ("green 1", "no re"), ("", "blue")]


def test_pairs_of_a_table_and_of_two_files(folder, tmp_path, capsys):
    model = folder / "pairs"
    table = tmp_path / "pairs.tsv"
    table.write_text("".join(f"{a or '-'}\t{b}\n" for a, b in PAIRS_OF_TEXTS))
    score(model, "--input", str(table), "--output", "-", "--each_token")
    captured = capsys.readouterr()
    records = lines(captured.out)
    for (inputs, target), record in zip(PAIRS_OF_TEXTS, records, strict=True):
        total, tokens = of_pairs(model, inputs or "-", target)
        assert (record["target"], record["tokens"]) == (target, tokens)
        np.testing.assert_allclose(record["log_likelihood"], total, rtol=1e-4)
        np.testing.assert_allclose(record["log_likelihood_per_token"], total / tokens, rtol=1e-4)
        pieces, values = zip(*record["token_log_likelihoods"], strict=True)
        assert pieces == (*target, "</s>")
        np.testing.assert_allclose(sum(values), total, rtol=1e-4)
    assert "3 targets of 3 lines by step 3 written to -: log-likelihood" in captured.err
    (tmp_path / "in").write_text("".join(f"{a or '-'}\n" for a, _ in PAIRS_OF_TEXTS))
    (tmp_path / "out").write_text("".join(f"{b}\n" for _, b in PAIRS_OF_TEXTS))
    words = ["--input", str(tmp_path / "in"), "--targets", str(tmp_path / "out")]
    score(model, *words, "--output", str(tmp_path / "scores.jsonl"), "--batch_size", "2")
    found = lines((tmp_path / "scores.jsonl").read_text())
    for one, other in zip(found, records, strict=True):
        np.testing.assert_allclose(one["log_likelihood"], other["log_likelihood"], rtol=1e-5)


def test_the_likeliest_option(folder, tmp_path, capsys):
    """The longest of all has the lowest sum and may have the highest mean."""
    model, table = folder / "pairs", tmp_path / "in.txt"
    table.write_text("red 0\ngreen 1\n")
    choices = ["red", "no", "green"]
    wanted = [[of_pairs(model, text, each) for each in choices] for text in ("red 0", "green 1")]
    for more, rank in (([], lambda found: found[0]), (["--per_token"], lambda f: f[0] / f[1])):
        read = ["--input", str(table), "--options", ",".join(choices), "--output", "-"]
        score(model, *read, *more)
        for record, found in zip(lines(capsys.readouterr().out), wanted, strict=True):
            sums = [each["log_likelihood"] for each in record["options"]]
            np.testing.assert_allclose(sums, [total for total, _ in found], rtol=1e-4)
            assert record["choice"] == int(np.argmax(list(map(rank, found))))
            assert record["output"] == choices[record["choice"]]
    table.write_text("red 0\tred\tno\n")
    score(model, "--input", str(table), "--output", "-")
    assert [each["target"] for each in lines(capsys.readouterr().out)[0]["options"]] == [
        "red",
        "no",
    ]


def test_language_models_score_what_follows(folder, tmp_path, capsys):
    """The whole text is its beginning and what follows: log-likelihoods add up."""
    table = tmp_path / "in.tsv"
    table.write_text("red,green\nred\t,green\n")
    score(folder / "text", "--input", str(table), "--output", "-", "--each_token")
    whole, rest = lines(capsys.readouterr().out)
    assert whole["tokens"] == rest["tokens"] + 3
    tail = whole["token_log_likelihoods"][3:]
    assert [piece for piece, _ in tail] == [piece for piece, _ in rest["token_log_likelihoods"]]
    np.testing.assert_allclose(sum(v for _, v in tail), rest["log_likelihood"], rtol=1e-4)
    table.write_text("red 0\tred\n")
    score(folder / "prefix", "--input", str(table), "--output", "-")
    (record,) = lines(capsys.readouterr().out)
    assert record["tokens"] == 4 and record["log_likelihood"] < 0


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("red\n", [], "line 1: one column, but the model needs inputs and a target"),
        ("red\tred\n\n", [], "--input, line 2: it is empty"),
        ("red\tred\n", ["--options", "a,b"], "line 1: 2 columns with --options"),
        ("", [], "--input has no lines"),
        ("red\tgreen and more\n", [], "line 1: a target of 15 tokens"),
    ],
)
def test_what_can_not_be_scored(folder, text, words, message, tmp_path, capsys):
    (tmp_path / "in.tsv").write_text(text)
    read = ["--input", str(tmp_path / "in.tsv"), "--output", "-"]
    score(folder / "pairs", *read, *words, status=2)
    assert message in capsys.readouterr().err
