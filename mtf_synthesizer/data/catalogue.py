"""Benchmarks with known official files."""

import importlib

from mtf_synthesizer import errors
from mtf_synthesizer.data.spec import Dataset

# Benchmark -> module of this package, and the name of its data set or data sets.
_PLACES = {
    "glue": ("glue", "DATASETS"),
    "superglue": ("super_glue", "DATASETS"),
    "wmt14": ("translation", "WMT14"),
    "multi30k": ("translation", "MULTI30K"),
    "lm1b": ("language_modeling", "LM1B"),
    "c4": ("language_modeling", "C4"),
    "wikitext2": ("language_modeling", "WIKITEXT2"),
    "tiny_shakespeare": ("language_modeling", "TINY_SHAKESPEARE"),
    "cnn_dailymail": ("summarization", "DATASETS"),
    "personachat": ("dialogue", "DATASETS"),
    "ag_news": ("classification", "AG_NEWS"),
    "imdb": ("classification", "IMDB"),
    "squad": ("questions", "SQUAD"),
    "dpr": ("questions", "DPR"),
}
_ALIASES = {"super_glue": "superglue"}
BENCHMARKS = tuple(_PLACES)


def datasets(benchmark: str) -> tuple[Dataset, ...]:
    """Return the data sets of a benchmark.

    Raises:
      errors.UserError: the benchmark is unknown; the message has a suggestion and all names.
    """
    benchmark = _ALIASES.get(benchmark, benchmark)
    errors.check("benchmark", benchmark, BENCHMARKS)
    module, attribute = _PLACES[benchmark]
    members = getattr(importlib.import_module(f"mtf_synthesizer.data.{module}"), attribute)
    return (members,) if isinstance(members, Dataset) else members
