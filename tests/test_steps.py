"""Jobs in steps that are done once."""

import pytest

from mtf_synthesizer import names
from mtf_synthesizer.steps import Steps, check_settings


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
    check_settings(tmp_path, settings)
    with pytest.raises(names.UserError, match="another size, seed; remove the folder"):
        check_settings(tmp_path, settings | {"size": "base", "seed": 3})


def test_gin_files_are_part_of_what_a_job_was_started_with():
    assert names.gin_digest() == names.gin_digest()
    assert len(names.gin_digest()) == 16
