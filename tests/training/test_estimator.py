"""Starting from a checkpoint of another run: what is taken over, and what is refused."""

import shutil

import calls
import pytest
from runner_tasks import PAIRS
from small_runs import MODULES, SMALLEST, train

from mtf_synthesizer import errors
from mtf_synthesizer.training.train import alphas
from mtf_synthesizer.upstream import variables

pytestmark = pytest.mark.slow

COMMON = {"encoder/q": [7, 3], "encoder/v": [7, 5]}
LENGTHS = ["inputs_length = 13", "targets_length = 7"]  # of a run, not of a model
TABLE = "encoder/block_000/layer_000/SyntheticAttention/random/table"


def test_equal_models_need_no_word():
    variables.CheckpointDifferences(COMMON, COMMON).check("ckpt", partial=False)


def test_the_first_other_shape_is_named_before_what_is_absent():
    saved = {**COMMON, "a": [2], "encoder/v": [7, 11], "z": [3]}
    with pytest.raises(errors.UserError) as error:
        variables.CheckpointDifferences(saved, {**COMMON, "b": [3], "z": [5]}).check(
            "ckpt", partial=True
        )
    message = str(error.value)
    assert "the variable encoder/v is [7, 11] there and [7, 5] in this model" in message
    for part in ("another shape: encoder/v, z;", "only there: a;", "only in this model: b."):
        assert part in message


def test_variables_of_one_side_need_leave():
    found = variables.CheckpointDifferences({**COMMON, "a": [2]}, {**COMMON, "b": [3]})
    with pytest.raises(errors.UserError, match=r"variable a is \[2\] there and absent.*--partial"):
        found.check("ckpt", partial=False)
    found.check("ckpt", partial=True)
    assert str(found) == "2 variables taken over; only there: a; only in this model: b"


def test_long_lists_are_cut():
    found = variables.CheckpointDifferences({f"v{i}": [1] for i in range(9)}, {})
    assert str(found).endswith("only there: v0, v1, v2, v3, v4, v5 and 3 more")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "rv"
    train(folder, steps=2)
    return folder


def follow(folder, start, **changes):
    options = {"steps": 2, "init_checkpoint": start} | changes
    return train(folder, **options)


def test_another_synthesizer_is_refused_unless_told(pretrained, tmp_path, capsys):
    with pytest.raises(errors.UserError, match=rf"mixture/alpha is .* there and absent.*{TABLE}"):
        follow(tmp_path / "v", pretrained, synthesizer="v")
    assert not list((tmp_path / "v").glob("model.ckpt-*"))
    result = follow(tmp_path / "v", pretrained, synthesizer="v", partial_init=True)
    assert (result["step"], result["trained"]) == (4, 2)
    assert "variables taken over; only there: " in capsys.readouterr().err
    assert not alphas(tmp_path / "v")
    # A run that is under way is compared with its own checkpoints only.
    assert follow(tmp_path / "v", pretrained, synthesizer="v")["trained"] == 0


def test_another_length_is_refused_with_both_shapes(pretrained, tmp_path):
    params = [*SMALLEST, "max_length = 19"]
    with pytest.raises(errors.UserError, match=r"\[2, 17, 17\] there and \[2, 19, 19\] in this"):
        follow(tmp_path / "longer", pretrained, params=params, partial_init=True)


def test_a_start_that_is_gone_is_not_needed_any_more(pretrained, tmp_path):
    """Neither for the model, which no flag says here, nor for the number of steps."""
    shutil.copytree(pretrained, tmp_path / "start")
    given = {"synthesizer": None, "size": None, "params": LENGTHS, "batch_size": 3}
    assert follow(tmp_path / "m", tmp_path / "start", **given)["step"] == 4
    shutil.rmtree(tmp_path / "start")
    result = follow(tmp_path / "m", tmp_path / "start", steps=3, **given)
    assert (result["step"], result["end"], result["trained"]) == (5, 5, 1)
    assert alphas(tmp_path / "m")  # still R+V


def test_what_an_optimizer_keeps_is_no_part_of_a_model(pretrained, tmp_path):
    adam = ["utils.run.optimizer = @optimize.AdamWeightDecayOptimizer"]
    assert follow(tmp_path / "m", pretrained, params=adam, steps=1)["step"] == 3
    report = calls.evaluate(tmp_path / "m", PAIRS, modules=MODULES, decode=False)
    assert report["results"][0]["loss"] > 0
    assert follow(tmp_path / "adafactor", tmp_path / "m", steps=1)["step"] == 4


def test_another_model_is_neither_evaluated_nor_decoded_with(pretrained, tmp_path):
    """The configuration of a folder is that of its checkpoints, unless somebody changes it."""
    shutil.copytree(pretrained, tmp_path / "m")
    config = tmp_path / "m" / "operative_config.gin"
    config.write_text(config.read_text().replace("max_length = 17", "max_length = 19"))
    shapes = r"table is \[2, 17, 17\] there and \[2, 19, 19\] in this model"
    with pytest.raises(errors.UserError, match=rf"ckpt-2 belongs to another model: .*{shapes}"):
        calls.evaluate(tmp_path / "m", PAIRS, modules=MODULES, decode=False)
    with pytest.raises(errors.UserError, match=rf"ckpt-2 belongs to another model: .*{shapes}"):
        calls.predict(tmp_path / "m", PAIRS, modules=MODULES, output=tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()
