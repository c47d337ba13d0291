"""Tasks: importing this package registers every task with seqio, but for `t5_mixtures`."""

import mtf_synthesizer.compat  # noqa: F401  (before anything that imports T5 or Mesh)
from mtf_synthesizer.tasks import (
    classification,
    dialogue,
    embedded,
    language_modeling,
    masked_lm,
    mixtures,
    pretraining,
    summarization,
    translation,
)

__all__ = [
    "classification",
    "dialogue",
    "embedded",
    "language_modeling",
    "masked_lm",
    "mixtures",
    "pretraining",
    "summarization",
    "translation",
]
