"""A name given by --synthesizer stays true."""

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Request, for_training

LAYERS = "transformer.make_layer_stack.layers = [@SelfAttention, @DenseReluDense]"
FUNCTION = "SyntheticAttention.synthesizer = @DotProduct()"


def check(name, *params, files=(), size="tiny"):
    for_training(
        Request(
            task="t",
            synthesizer=name,
            size=size,
            run="demo_pretrain",
            modules=(),
            gin_files=files,
            gin_params=params,
        )
    )


@pytest.mark.parametrize("file", ["task_adapter.gin", "models/bi_v1_shared.gin"])
def test_files_of_t5_that_replace_the_layers_are_named(file):
    with pytest.raises(errors.UserError) as error:
        check("r", files=[file])
    shown = str(error.value)
    assert f"--synthesizer r: {file}:" in shown
    assert "replaces the layers, and no stack has SyntheticAttention any more" in shown


@pytest.mark.parametrize(
    "name, size, params, lost",
    [
        ("r", "tiny_lm", [LAYERS], "SyntheticAttention"),
        ("lightconv", "tiny", ["baseline = @SelfAttention"], "LightConv"),
        ("r", "tiny", [FUNCTION], "Random"),
        ("rv", "tiny", [FUNCTION], "Mixture, Random"),
        ("rv", "tiny", ["Mixture.functions = [@Dense(), @DotProduct()]"], "Random"),
        (
            "fr",
            "tiny",
            [f"encoder/{FUNCTION}", f"decoder/{FUNCTION}"],
            "FactorizedRandom",
        ),
    ],
)
def test_what_is_lost_is_named(name, size, params, lost):
    with pytest.raises(errors.UserError, match=f"no stack has {lost} any more"):
        check(name, *params, size=size)


@pytest.mark.parametrize(
    "name, size, params",
    [
        ("r", "tiny", [LAYERS]),  # of models with one stack
        ("r", "tiny", [f"encoder/{LAYERS}"]),
        ("r", "tiny", [f"encoder/{FUNCTION}"]),
        ("r", "tiny", ["SyntheticAttention.synthesizer = @long/Random()"]),
        ("rv", "tiny", ["Mixture.functions = [@Random(), @DotProduct(), @Dense()]"]),
        ("rv", "tiny", ["Mixture.functions = []"]),  # which the function itself refuses
        ("t5", "tiny", [LAYERS]),
        ("universal", "tiny", []),
    ],
)
def test_changes_that_keep_the_name_true(name, size, params):
    check(name, *params, size=size)
