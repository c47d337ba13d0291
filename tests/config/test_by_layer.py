"""Synthesizers by stack and layer: the gin text, the model that it makes, and wrong choices."""

import mtf_synthesizer.runtime.compat

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config import by_layer
from mtf_synthesizer.config import request as configuration
from mtf_synthesizer.studies.cost import rows
from mtf_synthesizer.upstream import graph

SMALL = ["num_layers = 3", "d_model = 8", "d_ff = 11", "num_heads = 2", "d_kv = 3"]


def configured(text, size="tiny", files=(), params=()):
    return configuration.for_training(
        configuration.Request(
            task="none",
            synthesizer=text,
            size=size,
            run="demo_finetune",
            gin_files=files,
            gin_params=[*SMALL, "max_length = 200", *params],
        )
    )


def layers_of(wanted):
    """Place of each layer of ours -> its function and kind of relative position bias."""
    with rows.built(wanted, 2, 128) as (model, _):
        return {
            f"{stack.name}/{layer.name}": (
                type(layer.synthesizer).__name__,
                layer.relative_attention_type,
            )
            for stack in graph.stacks(model)
            for layer in stack.layer_stack.layers
            if type(layer).__name__ == "SyntheticAttention"
        }


def test_each_layer_has_its_function_and_the_settings_of_its_file():
    assert layers_of(configured("encoder=r*2,rv*1;decoder=v")) == {
        "encoder/block_000/layer_000": ("Random", None),
        "encoder/block_001/layer_000": ("Random", None),
        "encoder/block_002/layer_000": ("Mixture", "bias_shared"),
        **{f"decoder/block_{n:03d}/layer_000": ("DotProduct", "bias_shared") for n in range(3)},
    }


def test_the_same_model_as_by_one_synthesizer():
    """Variables, their shapes and the cost, whether a name or a list chooses R."""
    one, listed = (
        rows.measure("", configured(text), 2, 128) for text in ("r", "encoder=r*1,r*2;decoder=r")
    )
    assert listed.counted == one.counted
    assert not listed.differing()


def test_one_stack():
    found = layers_of(configured("fr*2,v*1", "tiny_lm"))
    assert [function for function, _ in found.values()] == ["FactorizedRandom"] * 2 + ["DotProduct"]


def test_bindings_of_the_user_hold_in_all_layers():
    wanted = configured("encoder=r;decoder=v", files=["relative_bias.gin"])
    assert {bias for _, bias in layers_of(wanted).values()} == {"bias_shared"}
    text = configured("encoder=rv;decoder=v", params=["Mixture.functions = [@Random()]"]).params[0]
    assert "Mixture.functions" not in text


@pytest.mark.parametrize(
    ("text", "size", "message"),
    [
        ("encoder=r*2,v*2;decoder=v", "tiny", "4 layers for the encoder, which has 3"),
        ("encoder=r*2,v*1", "tiny", "the layers of the decoder are missing"),
        ("encoder=r*2,v;decoder=v", "tiny", "number of layers for each of several"),
        ("encoder=r;encoder=v", "tiny", "a stack is named twice"),
        ("r*3;decoder=v", "tiny", "a stack is named twice"),
        ("encodr=r;decoder=v", "tiny", "unknown stack 'encodr'. Did you mean"),
        ("encoder=rw;decoder=v", "tiny", "unknown synthesizer 'rw'"),
        ("encoder=lightconv;decoder=v", "tiny", "unknown synthesizer 'lightconv'"),
        ("encoder=r*0;decoder=v", "tiny", "'r\\*0' is not a synthesizer with its number"),
        ("encoder=r;decoder=v", "tiny_lm", "this model has one stack. Leave out encoder="),
    ],
)
def test_wrong_choices_are_refused_without_tensorflow(text, size, message):
    with pytest.raises(errors.UserError, match=message):
        configured(text, size)


def test_folders_have_plain_names():
    assert by_layer.folder_name("encoder=r*3,v*3;decoder=v") == "encoder-r3-v3-decoder-v"
