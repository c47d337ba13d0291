"""Tasks: importing this package registers every task with seqio."""

import mtf_synthesizer.compat  # noqa: F401  (before anything that imports T5 or Mesh)
from mtf_synthesizer.tasks import embedded, mixtures, pretraining

__all__ = ["embedded", "mixtures", "pretraining"]
