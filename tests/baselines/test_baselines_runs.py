"""Every baseline trains, evaluates and decodes by its name, as a synthesizer does."""

import calls
import numpy as np
import pytest
from runner_tasks import PAIRS
from small_runs import MODULES, SMALLEST

# One of each kind: DyConv decodes as LightConv, Raganato and the mixer's encoder as Linformer's.
# The public convolutions do not decode as they train. Other tests run T5's layer and the public
# Synthesizers.
NAMES = ("lightconv", "linformer", "universal")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trains_evaluates_and_decodes(name, tmp_path):
    # Without a table that is learned for a length, nothing uses the macro.
    params = [p for p in SMALLEST if name == "linformer" or not p.startswith("max_length")]
    if name == "universal":
        params.append("UTLayerStack.act_max_steps = 2")
    trained = calls.train(
        tmp_path,
        PAIRS,
        synthesizer=name,
        size="tiny",
        run="finetune",
        steps=3,
        batch_size=4,
        gin_params=params,
        modules=MODULES,
        attention_summaries=False,
        show_progress=False,
    )
    assert trained["step"] == 3
    assert np.isfinite([row["loss"] for row in trained["losses"]]).all()
    for given in ({}, {"gin_files": ["beam_search.gin"], "teacher_forced": False}):
        report = calls.evaluate(tmp_path, PAIRS, modules=MODULES, **given)
        (row,) = report["results"]
        assert row["examples"] == 5
        assert given or row["loss"] > 0
        assert "accuracy" in row["metrics"]
