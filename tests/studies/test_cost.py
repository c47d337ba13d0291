"""`mtf_synthesizer cost`: the paper's tables, the formats, and answers to mistakes."""

import csv
import io
import json

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.attention.cost import Cost
from mtf_synthesizer.cli import commands
from mtf_synthesizer.cli.cost import run
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.studies.cost import paper_tables, report
from mtf_synthesizer.studies.cost.model import of_model
from mtf_synthesizer.studies.cost.rows import built, measure

TINY = ["cost", "--synthesizer", "rv", "--size", "tiny", "--vocabulary_size", "130"]
WORDS = 256  # 130 rounded up

# Trainable parameters that the public implementation has, and forward FLOPs relative to T5.
TABLE_4 = {
    "t5": (222_903_552, 1.0),
    "r": (254_360_064, 0.900),
    "r_plus_v": (292_108_800, 1.100),
    "d": (224_475_648, 1.025),
    "d_plus_v": (243_350_016, 1.150),
    "fr": (207_174_144, None),
}


def by_formula(wanted):
    with built(wanted, 1, 32_128) as (model, batch):
        return sum((part.cost for part in of_model(model, batch)), Cost())


def printed(capsys, *options):
    args = commands.parser().parse_args([*TINY, *options])
    run(args)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def of_t5():
    return by_formula(paper_tables.MODELS[0].configuration())


@pytest.mark.parametrize("row", TABLE_4)
def test_table_4(row, of_t5):
    (model,) = [model for model in paper_tables.MODELS if model.row == row]
    parameters, relative = TABLE_4[row]
    cost = by_formula(model.configuration())
    assert cost.trainable_parameters == parameters
    assert round(parameters / 1e6) == model.paper_millions or parameters // 10**6 == (
        model.paper_millions
    )
    if relative:
        assert round(cost.forward_flops / of_t5.forward_flops, 3) == relative


@pytest.mark.slow
def test_public_convolution_is_counted_from_the_graph():
    (model,) = [model for model in paper_tables.MODELS if model.row == "mesh-lightconv"]
    row = measure(model.row, model.configuration(), 1, 32_128)
    # T5's count without its two biases of positions, four matrices d x d as in its attention, and
    # in each of 24 layers a kernel of width 9 for each of d channels, and five biases.
    assert row.total.parameters == TABLE_4["t5"][0] - 2 * 12 * 32 + 24 * (9 + 5) * 768
    assert row.why_no_formula == "LocalConvAttnBlock has no formula"
    (line,) = [line for line in report.of_row(row).lines if line["component"] == "total"]
    assert line["formula"] == "none"


def test_table_2_differences():
    counts = {
        row: by_formula(paper_tables.translation(row)).trainable_parameters
        for row in ("v", "fix", "r", "rv")
    }
    queries_and_keys = 12 * 2 * 512 * 512
    biases = 2 * 8 * 32  # of positions, which the tables do without
    assert counts["v"] - counts["fix"] == queries_and_keys + biases
    assert counts["v"] - counts["r"] == biases
    assert counts["rv"] - counts["v"] == queries_and_keys + 12 * 8 * 2
    assert {paper_tables.TRANSLATION[row] for row in ("v", "r")} == {67}


def test_table_1():
    rows = {row["row"]: row for row in paper_tables.table_1().rows}
    trained = {name: row["trainable_parameters"] for name, row in rows.items()}
    h, d, kv, n, k, a, b = 12, 768, 64, 512, 8, 16, 32
    assert trained == {
        "v": 2 * d * h * kv,
        "r": h * n * n,
        "fix": 0,
        "fr": 2 * h * n * k,
        "d": h * (d * kv + kv * n),
        "fd": h * (d * kv + kv * (a + b)),
    }
    assert trained["v"] == rows["v"]["paper_parameters"]
    assert trained["r"] == h * rows["r"]["paper_parameters"]
    assert trained["fr"] == h * rows["fr"]["paper_parameters"]
    assert trained["d"] == rows["d"]["paper_parameters"]
    assert trained["fd"] == rows["fd"]["paper_parameters"]


def test_formats_say_the_same(capsys):
    (row,) = json.loads(printed(capsys, "--format", "json"))["rows"]
    lines = list(csv.DictReader(io.StringIO(printed(capsys, "--format", "csv"))))
    table = printed(capsys)
    assert row["row"] == "rv tiny"
    assert row["formula_equals_graph"] is True
    assert (row["lengths"], row["packed"]) == ([512, 114], False)
    parts = [line for line in lines if not line["part"] and line["component"] != "total"]
    for column in ("trainable_parameters", "forward_flops", "training_flops"):
        assert sum(int(part[column]) for part in parts) == row[column]
        assert f"{row[column]:,}" in table
    # Embedding and softmax share their matrix.
    softmax = next(line for line in lines if line["component"] == "softmax")
    assert int(softmax["forward_flops"]) == 2 * 114 * 64 * WORDS


def test_batch_and_lengths(capsys):
    packed = ("--gin_param", "pack = True", "--gin_param", "inputs_length = 53")
    (row,) = json.loads(printed(capsys, "--batch_size", "3", *packed, "--format", "json"))["rows"]
    assert (row["batch_size"], row["lengths"], row["packed"]) == (3, [53, 114], True)
    assert row["formula_equals_graph"] is True


def test_frozen_variables_are_told(capsys):
    frozen = ("--experiment", "table5_glue", "--gin_param", "num_layers = 1")
    assert "run.variable_filter is set" in printed(capsys, *frozen)
    assert "run.variable_filter" not in printed(capsys)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--table", "4", "--size", "base"], "Leave out --size"),
        (["--synthesizer", "rw", "--size", "tiny"], "Did you mean"),
        (["--synthesizer", "rv"], "--size is missing"),
        (["--synthesizer", "rv", "--size", "tiny", "--gin_param", "d_modle = 3"], "d_model"),
    ],
)
def test_mistakes(typed, said, monkeypatch):
    monkeypatch.setattr(loading, "load_tensorflow", lambda verbose: pytest.fail("loaded"))
    with pytest.raises(errors.UserError, match=said):
        run(commands.parser().parse_args(["cost", *typed]))
