"""Plain flags of a run and the gin bindings that they stand for."""

import json
import pathlib
import re

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config import training_flags
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.training_flags import TrainingFlags

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "variables.json"


def test_bindings():
    flags = TrainingFlags(7, 2, 0.5, "shared|layer_001")
    assert flags.bindings() == [
        "utils.run.save_checkpoints_steps = 7",
        "utils.run.keep_checkpoint_max = 2",
        "utils.run.learning_rate_schedule = 0.5",
        "utils.run.variable_filter = '^(?!.*(?:shared|layer_001))'",
    ]
    assert TrainingFlags().bindings() == []
    names.check([], TrainingFlags(7, 2, 0.5, train_only="tables").bindings())


def test_frozen_variables_are_those_that_match():
    (binding,) = TrainingFlags(freeze="shared|encoder/").bindings()
    pattern = binding.partition("= ")[2].strip("'")
    trained = [n for n in ("shared/embedding", "encoder/k", "decoder/k") if re.search(pattern, n)]
    assert trained == ["decoder/k"]


def test_tables_are_what_the_checkpoint_calls_so():
    pattern = training_flags.GROUPS["tables"]
    scope = "encoder/block_000/layer_000/SyntheticAttention"
    variables = {f"{scope}/{n}" for v in json.loads(GOLDEN.read_text()).values() for n in v}
    trained = {name.rpartition("Attention/")[2] for name in variables if re.search(pattern, name)}
    assert trained >= {
        "random/table",
        "random_1/table",
        "factorized_random/r1",
        "factorized_random/r2",
        "toeplitz/table",
        "mixture/alpha",
    }
    assert not any(re.search("dense|dot_product|fixed|/[qkvo]$", name) for name in trained)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (TrainingFlags(freeze="a", train_only="tables"), "exclude each other"),
        (TrainingFlags(freeze="("), r"--freeze \(: not a regular expression"),
        (TrainingFlags(train_only="table"), "mean 'tables'"),
    ],
)
def test_refused(flags, message):
    with pytest.raises(errors.UserError, match=message):
        flags.bindings()


@pytest.mark.parametrize(
    ("binding", "free"),
    [
        ("utils.run.save_checkpoints_steps = 7", True),
        ("run.keep_checkpoint_max = 7", True),
        ("save_checkpoints_steps = 7", True),
        ("utils.run.learning_rate_schedule = 0.1", False),
        ("d_model = 8", False),
    ],
)
def test_what_a_resumed_run_may_change(binding, free):
    assert training_flags.is_free(binding) is free
