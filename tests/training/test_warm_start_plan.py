"""What is decided about every variable, without a model: names, shapes, and what is refused."""

import numpy as np
import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.training.warm_start import plan

SCOPE = "decoder/block_000/layer_000/SyntheticAttention"
OLD = "decoder/block_000/layer_000/SelfAttention"
T5 = {
    "shared/embedding": (128, 7),
    f"{OLD}/q": (7, 6),
    f"{OLD}/k": (7, 6),
    f"{OLD}/v": (7, 6),
    f"{OLD}/o": (6, 7),
    f"{OLD}/relative_attention_bias": (2, 32),
    "decoder/block_000/layer_000/layer_norm/scale": (7,),
    "decoder/final_layer_norm/scale": (7,),
    f"{OLD}/q_slot_v": (7, 6),
    f"{OLD}/q/adam_m": (7, 6),
    f"{OLD}/q_momentum_v": (7, 6),
    "global_step": (),
}


def dims(*sizes):
    return tuple((f"dim_{i}", size) for i, size in enumerate(sizes))


SHARED = {
    "shared/embedding": dims(128, 7),
    f"{SCOPE}/v": dims(7, 6),
    f"{SCOPE}/o": dims(6, 7),
    "decoder/block_000/layer_000/rms_norm/scale": dims(7),
    "decoder/rms_norm/scale": dims(7),
}
V = {
    **SHARED,
    f"{SCOPE}/q": dims(7, 6),
    f"{SCOPE}/k": dims(7, 6),
    f"{SCOPE}/relative_attention_bias": dims(2, 32),
}
TABLE = (("heads", 2), ("query_position", 5), ("key_position", 5))
RV = {**V, f"{SCOPE}/random/table": TABLE, f"{SCOPE}/mixture/alpha": dims(2, 2)}
POSITIONS = "shared/positional_embedding"
ZERO = plan.Own("zero", lambda zeros: zeros)
BEGINNING = plan.Beginning(SCOPE, 2.0, True, {"random/table": ZERO})


def made(saved=None, built=RV, beginning=BEGINNING):
    result = plan.make("ckpt", T5 if saved is None else saved, built, [beginning])
    return {entry.name: entry for entry in result.entries}, result.dropped


def without(mapping, *removed):
    return {name: value for name, value in mapping.items() if name not in removed}


def test_every_variable_has_a_source_or_a_beginning():
    entries, dropped = made()
    assert not dropped
    assert entries.keys() == RV.keys()
    sources = {name: entry.source for name, entry in entries.items()}
    assert sources == {
        "shared/embedding": "shared/embedding",
        "decoder/block_000/layer_000/rms_norm/scale": (
            "decoder/block_000/layer_000/layer_norm/scale"
        ),
        "decoder/rms_norm/scale": "decoder/final_layer_norm/scale",
        **{f"{SCOPE}/{n}": f"{OLD}/{n}" for n in (*"qkvo", "relative_attention_bias")},
        f"{SCOPE}/random/table": None,
        f"{SCOPE}/mixture/alpha": None,
    }
    value = np.arange(3, dtype=np.float32)
    scaled = {name for name, e in entries.items() if e.source and e.change(value)[2] != 2}
    assert scaled == {f"{SCOPE}/q"}
    np.testing.assert_array_equal(entries[f"{SCOPE}/q"].change(value), [0, 2, 4])
    assert entries[f"{SCOPE}/mixture/alpha"].change is None
    assert entries[f"{SCOPE}/q"].description == "loaded, times 2"


def test_newer_names_are_those_of_ours():
    saved = {name: shape for name, shape in T5.items() if "norm" not in name}
    saved |= {name: (7,) for name in SHARED if "rms_norm" in name}
    entries, _ = made(saved)
    for name in SHARED:
        if "rms_norm" in name:
            assert entries[name].source == name


@pytest.mark.parametrize(
    ("saved", "built", "message"),
    [
        (without(T5, f"{OLD}/k"), RV, rf"it lacks {SCOPE}/k"),
        (without(T5, f"{OLD}/relative_attention_bias"), RV, "it lacks .*/relative_attention_bias"),
        (without(T5, "decoder/final_layer_norm/scale"), RV, "it lacks decoder/rms_norm/scale"),
        (T5, without(RV, f"{SCOPE}/relative_attention_bias"), "this model lacks .*attention_bias"),
        ({**T5, "encoder/block_009/x": (2,)}, RV, "this model lacks encoder/block_009/x"),
        ({**T5, f"{OLD}/q": (7, 8)}, RV, r"shapes differ: .*/q \[7, 8\] -> \[7, 6\]"),
        (T5, {**RV, POSITIONS: dims(5, 7)}, "has no learned positions. Give a --run without them"),
        ({**T5, f"{OLD}/random/table": (2, 5, 5)}, V, "has random/table, but .* a dot product"),
        ({**T5, f"{OLD}/dense/w2": (2, 3, 5)}, RV, "has dense/w2, but this model has mixture/"),
    ],
)
def test_what_does_not_fit_is_an_error(saved, built, message):
    with pytest.raises(errors.UserError, match=message):
        made(saved, built)


def test_a_function_without_v_drops_the_dot_product_and_nothing_else():
    built = {**SHARED, f"{SCOPE}/random/table": TABLE}
    entries, dropped = made(built=built, beginning=plan.Beginning(SCOPE))
    assert set(dropped) == {f"{OLD}/{n}" for n in ("q", "k", "relative_attention_bias")}
    assert entries[f"{SCOPE}/random/table"].change is None
    with pytest.raises(errors.UserError, match="this model lacks shared/more"):
        made({**T5, "shared/more": (3,)}, built, plan.Beginning(SCOPE))


def ours(table, **others):
    """A checkpoint of R+V."""
    saved = {name: tuple(size for _, size in d) for name, d in RV.items()}
    return {**saved, f"{SCOPE}/random/table": table, **others}


@pytest.mark.parametrize(("before", "verb"), [(9, "cut"), (2, "tiled")])
def test_the_same_function_at_another_length(before, verb):
    entries, _ = made(ours((2, before, before)))
    entry = entries[f"{SCOPE}/random/table"]
    assert entry.description == f"{verb} from 2 x {before} x {before}"
    table = np.arange(2 * before * before).reshape(2, before, before)
    found = entry.change(table)
    assert found.shape == (2, 5, 5)
    for i in range(5):
        for j in range(5):
            np.testing.assert_array_equal(found[:, i, j], table[:, i % before, j % before])
    # It goes on as it is: nothing is scaled, and α is not begun anew.
    assert (
        entries[f"{SCOPE}/q"].description
        == entries[f"{SCOPE}/mixture/alpha"].description
        == "loaded"
    )


def test_heads_are_no_length():
    with pytest.raises(errors.UserError, match="shapes differ"):
        made(ours((4, 5, 5)))


def test_absolute_positions_are_cut_but_never_made_up():
    name = POSITIONS
    built = {**RV, name: (("max_length", 5), ("d_model", 7))}
    assert made(ours((2, 5, 5), **{name: (9, 7)}), built)[0][name].description == "cut from 9 x 7"
    with pytest.raises(errors.UserError, match=r"positional_embedding \[3, 7\] -> \[5, 7\]"):
        made(ours((2, 5, 5), **{name: (3, 7)}), built)
