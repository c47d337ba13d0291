"""Steps of training that take a given processor time."""

from __future__ import annotations

import dataclasses
import tempfile
import time

import mtf_synthesizer.runtime.compat

from mtf_synthesizer.config.request import Request
from mtf_synthesizer.training import train

_FIRST, _STEPS = 5, 25  # of the measurement; the first include the building of the graph


def seconds_per_step(request: Request) -> float:
    """Return the processor time of a training step of a request, in seconds.

    Two short runs differ in `_STEPS` steps; what else they do is the same.
    """
    times = []
    for steps in (_FIRST, _FIRST + _STEPS):
        with tempfile.TemporaryDirectory() as folder:
            short = dataclasses.replace(request, steps=steps)
            begin = time.process_time()
            train.train(folder, short, train.TrainOptions(attention_summaries=False))
            times.append(time.process_time() - begin)
    return max((times[1] - times[0]) / _STEPS, 1e-6)
