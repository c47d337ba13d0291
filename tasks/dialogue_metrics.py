"""BLEU-1 to 4, ROUGE-L, METEOR and CIDEr of dialogue, as nlg-eval computes them, in per cent.

Like nlg-eval, these run the scorers of pycocoevalcap on text split at blanks. A target is a text,
or a list of texts if an example has several references.
"""

import importlib
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from mtf_synthesizer.tasks.left_out import leave_out
from mtf_synthesizer.tasks.text_metrics import Target, references, without_reference

Numbered = dict[int, list[str]]
_INSTALL = "pip install 'mtf_synthesizer[dialogue]'"
_NO_JAVA = (
    "METEOR needs a Java runtime, but no java is on the PATH. Install one (Debian: "
    "apt install default-jre-headless) and evaluate again"
)


def caption_bleu(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Compute BLEU with n-grams up to 1, 2, 3 and 4, without smoothing."""
    if lacking := without_reference(targets):
        return leave_out(f"BLEU-1 to 4 are left out: {lacking}")
    if (scorer := _scorer("bleu", "Bleu")) is None:
        return leave_out(f"BLEU-1 to 4 need the package pycocoevalcap: {_INSTALL}")
    values, _ = scorer(4).compute_score(*_numbered(targets, predictions), verbose=0)
    return {f"bleu_{n}": 100 * float(value) for n, value in enumerate(values, start=1)}


def caption_rouge_l(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Compute ROUGE-L with a recall weight of 1.44: the mean over examples."""
    if lacking := without_reference(targets):
        return leave_out(f"ROUGE-L is left out: {lacking}")
    if (scorer := _scorer("rouge", "Rouge")) is None:
        return leave_out(f"ROUGE-L of dialogue needs the package pycocoevalcap: {_INSTALL}")
    value, _ = scorer().compute_score(*_numbered(targets, predictions))
    return {"rouge_l": 100 * float(value)}


def cider(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Compute CIDEr-D, up to 1000: a perfect text counts 10, here times 100."""
    if lacking := without_reference(targets):
        return leave_out(f"CIDEr is left out: {lacking}")
    if (scorer := _scorer("cider", "Cider")) is None:
        return leave_out(f"CIDEr needs the package pycocoevalcap: {_INSTALL}")
    value, _ = scorer().compute_score(*_numbered(targets, predictions))
    return {"cider": 100 * float(value)}


def meteor(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Compute METEOR 1.5 of English text with its Java program."""
    if lacking := without_reference(targets):
        return leave_out(f"METEOR is left out: {lacking}")
    if (scorer := _scorer("meteor", "Meteor")) is None:
        return leave_out(f"METEOR needs the package pycocoevalcap: {_INSTALL}")
    if not _has_java():
        return leave_out(_NO_JAVA)
    try:
        return {"meteor": 100 * _meteor(scorer(), *_numbered(targets, predictions))}
    except (OSError, ValueError) as error:  # the program ended, or printed no number
        return leave_out(f"METEOR's Java program failed ({type(error).__name__}: {error})")


def _meteor(scorer: Any, targets: Numbered, predictions: Numbered) -> float:
    try:
        return float(scorer.compute_score(targets, predictions)[0])
    finally:
        if scorer.lock.locked():  # after an error; the deleted scorer would wait for the lock
            scorer.lock.release()


DIALOGUE = (caption_bleu, caption_rouge_l, meteor, cider)


def lacking(metric: Callable[..., Any]) -> str:
    """Return why a metric would be left out, and what to install; empty if nothing is missing."""
    if metric not in DIALOGUE:
        return ""
    if _scorer("bleu", "Bleu") is None:
        return f"BLEU, ROUGE-L, METEOR and CIDEr need the package pycocoevalcap: {_INSTALL}"
    return _NO_JAVA if metric is meteor and not _has_java() else ""


def _has_java() -> bool:
    return shutil.which("java") is not None


def _scorer(module: str, name: str) -> Any | None:
    """Return a class of pycocoevalcap; None if the package is not installed."""
    try:
        return getattr(importlib.import_module(f"pycocoevalcap.{module}.{module}"), name)
    except ImportError:
        return None


def _numbered(targets: Sequence[Target], predictions: Sequence[str]) -> tuple[Numbered, Numbered]:
    """Return the scorers' arguments: number of the example -> references, and -> prediction."""
    return (
        {i: [_plain(text) for text in references(target)] for i, target in enumerate(targets)},
        {i: [_plain(text)] for i, text in enumerate(predictions)},
    )


def _plain(text: str) -> str:
    """Join words by single blanks, without "|||", which separates METEOR's input fields."""
    return " ".join(text.replace("|||", " ").split())
