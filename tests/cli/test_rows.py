"""Rows of `compare`, and synthesizers by layer, from flags to the request."""

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli import compare, options
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.studies.compare import plan

COMPARE = ["compare", "--experiment", "tiny_shakespeare", "--output", "runs/x"]


def rows(*flags):
    return compare._rows(parser().parse_args([*COMPARE, *flags]))


def test_rows_of_all_flags():
    flags = ("--rows", "v,fr", "--vary", "FactorizedRandom.rank=2,8")
    assert rows(*flags) == ["v", "fr FactorizedRandom.rank=2", "fr FactorizedRandom.rank=8"]
    by_layer = ("--synthesizer_layers", "r*1,v*1")
    assert rows(*by_layer, "--budget", "minutes=1.5") == ["r*1,v*1", "r*1,v*1 minutes=1.5"]
    with pytest.raises(errors.UserError, match="no row is given"):
        rows()
    with pytest.raises(errors.UserError, match="unknown synthesizer 'rr'"):
        rows("--synthesizer_layers", "rr*1,v*1")


@pytest.mark.parametrize("text", ["10", "minutes=0", "minutes=inf", "hours=1", "minutes=x"])
def test_other_budgets_are_refused(text, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([*COMPARE, "--rows", "v", "--budget", text])
    assert "is not a budget like minutes=10" in capsys.readouterr().err


def test_the_request_of_a_varied_row():
    wanted = plan.ComparisonPlan("tiny_shakespeare", ["fr FactorizedRandom.rank=2"])
    request = plan.request(wanted, wanted.rows[0], 3)
    assert (request.synthesizer, request.seed) == ("fr", 3)
    assert list(request.gin_params) == ["FactorizedRandom.rank = 2"]
    plan.check(wanted)
    assert plan.training(wanted.rows[0], 3) == "fr-rank-2_seed3_train"
    twice = plan.ComparisonPlan("tiny_shakespeare", ["fr A.rank=2", "fr B.rank=2"])
    with pytest.raises(errors.UserError, match="the same folder, fr-rank-2"):
        plan.check(twice)


def test_synthesizers_by_layer_are_one_text():
    flags = ["--synthesizer_layers", "encoder=r*1,v*1", "--synthesizer_layers", "decoder=v"]
    args = parser().parse_args(["cost", "--size", "tiny", *flags])
    assert options.read_synthesizer(args) == "encoder=r*1,v*1;decoder=v"
    with pytest.raises(SystemExit):
        parser().parse_args(["cost", "--synthesizer", "r", *flags])
