"""Logs of T5, Mesh and TensorFlow that `t5` prints."""

import logging

import pytest

from mtf_synthesizer.runtime import loading


@pytest.mark.parametrize(
    ("level", "message", "kept"),
    [
        (logging.INFO, "Saving checkpoints for 2 into m/model.ckpt.", True),
        (logging.INFO, "global_step/sec: 0.18", True),
        (logging.INFO, "loss = 3.5, step = 100 (2.0 sec)", True),
        (logging.INFO, "Loss for final step: 4.599746.", True),
        (logging.INFO, "eval/glue_cola_v002/matthews_corrcoef at step 100: 12.345", True),
        (logging.INFO, "eval/t/loss at step 100: nan", True),
        (logging.ERROR, "anything", True),
        (logging.WARNING, "From x: StopAtStepHook is deprecated", False),
        (logging.INFO, "Variable decoder/block_000/v size 4096", False),
        (logging.INFO, "Evaluating checkpoint step: 100", False),
        (logging.INFO, "examples/sec: 5.8", False),
    ],
)
def test_results_are_logged_and_nothing_else(level, message, kept):
    record = logging.LogRecord("tensorflow", level, __file__, 1, "%s", (message,), None)
    assert loading._is_result(record) == kept
