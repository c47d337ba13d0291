"""Preparation of the worker processes of SeqIO's Apache Beam pipeline."""

import contextlib
import functools
from collections.abc import Iterator

import mtf_synthesizer.runtime.compat

from seqio import beam_utils

from mtf_synthesizer.upstream import data_folder
from mtf_synthesizer.upstream.vocabulary import choice, choose


@contextlib.contextmanager
def prepared(tfds_data_dir: str | None) -> Iterator[None]:
    """Make each worker choose this process's vocabulary and data directory first.

    The steps of SeqIO's pipeline accept a setup function, but its script has no flag for one.
    """
    setup = functools.partial(prepare, choice(), tfds_data_dir)
    original = beam_utils.PreprocessTask
    beam_utils.PreprocessTask = functools.partial(original, setup_fn=setup)
    try:
        yield
    finally:
        beam_utils.PreprocessTask = original


def prepare(vocabulary: str, tfds_data_dir: str | None) -> None:
    """Choose the vocabulary and the data directory in a worker, before it reads a task."""
    if choice() != vocabulary:
        choose(vocabulary)
    data_folder.read_from(tfds_data_dir)
