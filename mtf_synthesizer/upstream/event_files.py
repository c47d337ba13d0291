"""Evaluation without TensorBoard's files, which the Estimator writes into the model's folder."""

import contextlib
import unittest.mock
from collections.abc import Iterator
from typing import Any

import mtf_synthesizer.runtime.compat

from tensorflow_estimator.python.estimator import estimator


@contextlib.contextmanager
def without_event_files() -> Iterator[None]:
    """Let Estimators evaluate inside without a folder `eval_...` of event files.

    The folder may be read-only, and the report has all that the files have.
    """

    def write_nothing(*unused: Any, **unused_by_name: Any) -> None:
        pass

    with (
        unittest.mock.patch.object(estimator, "_write_dict_to_summary", write_nothing),
        unittest.mock.patch.object(estimator, "_write_checkpoint_path_to_summary", write_nothing),
    ):
        yield
