"""Lengths are refused without TensorFlow where the graph can't be built, and nowhere else."""

import contextlib

import mtf_synthesizer.runtime.compat

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config import request as configuration
from mtf_synthesizer.config.lint import lengths
from mtf_synthesizer.studies.cost import rows

SMALLEST = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 11",
    "num_heads = 2",
    "d_kv = 3",
    "inputs_length = 13",
    "targets_length = 7",
)
POSITIONS = "Unitransformer.positional_embedding = True"
SINUSOIDS = "Unitransformer.sinusoid_positional_embedding = True"

# Synthesizer or baseline, size, bindings, and what is too short; nothing where all is well.
CASES = {
    "just enough": ("rv", "tiny", ["max_length = 13"], ""),
    "a mixture": ("rv", "tiny", ["max_length = 12"], "Random.max_length is 12"),
    "no table": ("v", "tiny", ["max_length = 2"], ""),
    "a table that is not used": ("d", "tiny", ["Random.max_length = 2"], ""),
    "a table of the decoder": (
        *("r", "tiny", ["decoder/Random.max_length = 6"]),
        "targets have 7 tokens: bind decoder/Random.max_length = 7",
    ),
    "enough for the decoder": ("r", "tiny", ["decoder/Random.max_length = 7"], ""),
    "the scope wins": (
        "r",
        "tiny",
        ["encoder/Random.max_length = 13", "Random.max_length = 7"],
        "",
    ),
    "tiled": ("d", "tiny", ["max_length = 5", "Dense.beyond_max_length = @Tile()"], ""),
    "packed tables": ("r", "tiny", ["max_length = 12", "pack = True"], "Random.max_length is 12"),
    "linformer": ("linformer", "tiny", ["max_length = 12"], "Linformer.max_length is 12"),
    "linformer in encoders": ("linformer", "tiny", ["max_length = 13", "targets_length = 19"], ""),
    "targets alone": ("fr", "tiny_lm", ["max_length = 7"], ""),
    "too many targets": ("fr", "tiny_lm", ["max_length = 6"], "the targets have 7 tokens"),
    "positions": (
        *("v", "tiny", [POSITIONS, "Unitransformer.max_length = 12"]),
        "Unitransformer.max_length is 12, but the inputs have 13 tokens",
    ),
    "sinusoids": (
        *("v", "tiny", [SINUSOIDS, "Unitransformer.max_length = 12"]),
        "Unitransformer.max_length is 12",
    ),
    "one of two": (
        "rd",
        "tiny",
        ["Random.max_length = 12", "Dense.max_length = 2"],
        "inputs have 13",
    ),
    "refused in so many words": (
        *("r", "tiny", ["max_length = 12", "Random.beyond_max_length = @Refuse()"]),
        "Random.max_length is 12",
    ),
    "a scope of its own": (
        "r",
        "tiny",
        [
            "SyntheticAttention.synthesizer = @long/Random()",
            "long/Random.max_length = 13",
            "Random.max_length = 5",
        ],
        "",
    ),
    "an encoder": ("r", "tiny_encoder", ["max_length = 12"], "the inputs have 13 tokens"),
    "no positions": ("v", "tiny", ["Unitransformer.max_length = 2"], ""),
}


def requested(synthesizer, size, params):
    return configuration.requested(
        configuration.Request(
            task="none", synthesizer=synthesizer, size=size, gin_params=[*SMALLEST, *params]
        )
    )


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused_is_what_can_not_be_built(case):
    row, size, params, said = CASES[case]
    wanted = requested(row, size, params)
    refused = pytest.raises(errors.UserError) if said else contextlib.nullcontext()
    with refused as error:
        lengths.check(wanted.files, wanted.params)
    assert said in str(error and error.value)
    not_built = pytest.raises(ValueError, match="length") if said else contextlib.nullcontext()
    with not_built:
        rows.measure(case, wanted, 3, 130)


def test_of_packed_rows_each_sequence_may_be_short_enough():
    """Where T5 packs, it gives Mesh positions within sequences, too."""
    wanted = requested("v", "tiny", [POSITIONS, "Unitransformer.max_length = 12", "pack = True"])
    lengths.check(wanted.files, wanted.params)


def test_training_is_refused_and_a_warm_start_is_not():
    request = configuration.Request(
        task="none", synthesizer="r", size="tiny", gin_params=["max_length = 2"]
    )
    assert configuration.requested(request)
    with pytest.raises(errors.UserError, match=r"Random\.max_length is 2"):
        configuration.for_training(request)


@pytest.mark.parametrize(
    ("keeps_model", "said"), [(False, "bind max_length"), (True, "warm-start")]
)
def test_what_makes_tables_longer(keeps_model, said):
    wanted = requested("r", "tiny", ["max_length = 12"])
    with pytest.raises(errors.UserError, match=said):
        lengths.check(wanted.files, wanted.params, keeps_model)
