"""Metrics of the embedded tasks, in the form seqio asks for: (targets, predictions) -> values."""

from collections.abc import Sequence

import sacrebleu


def accuracy(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Per cent of predictions that equal their target."""
    hits = sum(
        target == prediction for target, prediction in zip(targets, predictions, strict=True)
    )
    return {"accuracy": 100 * hits / len(targets)}


def bleu(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Corpus BLEU by sacrebleu, one reference each, with the tokenizer T5 uses (`intl`)."""
    score = sacrebleu.corpus_bleu(list(predictions), [list(targets)], tokenize="intl")
    return {"bleu": score.score}
