"""Tasks: importing this package registers every task with seqio, but for `t5_mixtures`."""

import mtf_synthesizer.runtime.compat

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
