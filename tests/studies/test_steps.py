"""Jobs in steps that are done once."""

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.studies.steps import Steps, check_settings


def test_a_finished_step_is_not_run_again(tmp_path):
    steps = Steps(tmp_path)
    first = steps.run("one", lambda: {"value": 3})
    assert first["value"] == 3
    assert steps.run("one", lambda: pytest.fail("ran again")) == first


def test_an_interrupted_step_is_run_again(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    steps = Steps(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        steps.run("one", interrupted)
    assert steps.run("one", lambda: {"value": 5})["value"] == 5


def test_other_settings_are_refused(tmp_path):
    settings = {"size": "mini", "seed": 0, "lengths": (5, 7)}
    check_settings(tmp_path, settings)
    Steps(tmp_path / "steps").run("one", lambda: {"value": 3})
    check_settings(tmp_path, settings)
    with pytest.raises(errors.UserError, match=r"another size, seed\. Remove the folder"):
        check_settings(tmp_path, settings | {"size": "base", "seed": 3})
    with pytest.raises(errors.UserError, match=r"another seed\. Remove"):
        check_settings(tmp_path, {"size": "mini", "lengths": (5, 7), "seed": 3})
    check_settings(tmp_path, settings | {"new_option": ()})  # of a later release, and not given


def test_a_start_that_failed_binds_nobody(tmp_path):
    check_settings(tmp_path, {"seed": 0})
    check_settings(tmp_path, {"seed": 3})
    with pytest.raises(errors.UserError, match="another seed"):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "model.ckpt-0.index").touch()
        check_settings(tmp_path, {"seed": 0})


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
def test_a_broken_result_is_said_to_be_one(tmp_path, content):
    (tmp_path / "one.json").write_text(content)
    with pytest.raises(errors.UserError, match=r"one\.json is not a file of .*\. Remove it"):
        Steps(tmp_path).run("one", dict)


def test_a_setting_with_names_may_get_further_names(tmp_path):
    check_settings(tmp_path, {"rows": {"v": "a", "r": "b"}})
    Steps(tmp_path / "steps").run("one", lambda: {"value": 3})
    check_settings(tmp_path, {"rows": {"rv": "c", "r": "b"}})
    for changed in ("v", "r", "rv"):
        with pytest.raises(errors.UserError, match="another rows"):
            check_settings(tmp_path, {"rows": {changed: "d"}})
