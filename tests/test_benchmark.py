"""The benchmark runs every row, and its figures are those of real training steps."""

import argparse
import dataclasses
import json

import pytest

from mtf_synthesizer import benchmark
from mtf_synthesizer.benchmark_rows import TrainingStep, layers
from mtf_synthesizer.names import UserError

SIZE = benchmark.Size(16, 24, 2, 8, 1, 32, 2, 12, 8)


@pytest.mark.parametrize("row", layers())
def test_every_row_trains(row):
    # The public layer only works with tables of 512.
    lengths = {"inputs_length": 512, "targets_length": 512} if row.startswith("mesh-") else {}
    size = dataclasses.replace(SIZE, **lengths)
    step = TrainingStep(layers()[row], size, packed=2, dropout=0.1)
    losses = [step.run() for _ in range(60)]
    assert sum(losses[-5:]) < sum(losses[:5])


def test_json(capsys):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    args = parser.parse_args(
        [
            "--rows",
            "t5,r",
            "--size",
            "tiny",
            "--steps",
            "2",
            "--dropout",
            "0.2",
            "--threads",
            "1",
            "--gathered_embedding",
            "--format",
            "json",
        ]
    )
    assert benchmark.main(args) == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["rows"]
    assert [row["row"] for row in rows] == ["t5", "r"]
    assert all(row["cpu_ms"] > 0 and row["wall_ms"] > 0 for row in rows)
    # Tables of N x N in place of W_Q and W_K and of the biases of each of the two stacks.
    size = benchmark.SIZES["tiny"]
    tables = 2 * size.num_heads * size.inputs_length**2
    queries_and_keys = 2 * 2 * size.d_model * size.num_heads * size.d_kv
    difference = size.num_layers * (tables - queries_and_keys) - 2 * size.num_heads * 32
    assert rows[1]["parameters"] - rows[0]["parameters"] == difference
    assert document["flags"] == {
        "packed": 0,
        "dropout": 0.2,
        "threads": 1,
        "gathered_embedding": True,
    }
    assert document["machine"]["tensorflow"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": ["t6"]}, "unknown row 't6'.*t5"),
        ({"steps": 0}, "--steps is 0"),
        ({"packed": 999}, "--packed is 999"),
        ({"dropout": 1.0}, "--dropout is 1.0"),
    ],
)
def test_bad_values_are_named(change, message):
    arguments = {"rows": ["t5"], "size": SIZE, "steps": 1} | change
    with pytest.raises(UserError, match=message):
        benchmark.measure(**arguments)


def test_flags_reach_the_measurement(monkeypatch):
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    seen = {}
    monkeypatch.setattr(benchmark, "measure", lambda *args, **kwargs: seen.update(kwargs) or [])
    monkeypatch.setattr(benchmark, "print_table", lambda *args: None)
    benchmark.main(parser.parse_args(["--packed", "3", "--dropout", "0.3", "--threads", "2"]))
    assert seen == {"packed": 3, "dropout": 0.3, "threads": 2, "gathered": False}
