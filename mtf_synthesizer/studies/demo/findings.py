"""Claims of the demo: each model against baselines that need no model."""

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtf_synthesizer.tasks import embedded, pretraining, text_metrics, verses_vocabulary
from mtf_synthesizer.upstream.examples import load

TESTAMENT = "synthesizer_testament_v001"
SAME_VERSE = "synthesizer_same_verse_v001"
MODERN_ENGLISH = "synthesizer_modern_english_v001"
_NAMES = {
    TESTAMENT: "Old or New Testament",
    SAME_VERSE: "same verse or another",
    MODERN_ENGLISH: "into modern English",
}
CLASSIFICATIONS = (TESTAMENT, SAME_VERSE)
UNIGRAM_ROWS = 8192  # rows of the training split; about 115,000 target tokens
# The label in a submission if the decoded text is not a label.
FALLBACK_LABELS = {TESTAMENT: "old", SAME_VERSE: "other"}


def baselines(
    pretrain_rows: int, pretrain_lengths: Mapping[str, int], examples: int | None
) -> dict[str, Any]:
    """Scores without a model, on the same examples that models are evaluated on.

    Args:
      pretrain_rows: rows of the pretraining test split.
      pretrain_lengths: sequence lengths of pretraining.
      examples: maximum number of test examples of each task; None for all.

    Returns:
      unigram_entropy: nats per target token under the frequencies of the training targets.
      unigram_entropy_free_sentinels: unigram_entropy if predicting sentinels costs nothing.
      majority: task -> per cent of the most frequent label. examples: task -> number of examples.
      copying: BLEU of the source itself.
    """
    majority, counts = {}, {}
    for task in CLASSIFICATIONS:
        labels = [example.targets for example in _test(task, examples)]
        majority[task] = 100 * collections.Counter(labels).most_common(1)[0][1] / len(labels)
        counts[task] = len(labels)
    translations = _test(MODERN_ENGLISH, examples)
    counts[MODERN_ENGLISH] = len(translations)
    copied = [example.inputs.removeprefix("modern: ") for example in translations]
    return {
        **_unigram_entropy(pretrain_rows, pretrain_lengths),
        "majority": majority,
        "examples": counts,
        "copying": text_metrics.international_bleu(
            [example.targets for example in translations], copied
        )["bleu"],
    }


def _test(task: str, limit: int | None) -> Sequence[embedded.Example]:
    return embedded.TASKS[task][0]("test")[:limit]


def _unigram_entropy(rows: int, lengths: Mapping[str, int]) -> dict[str, float]:
    import seqio

    task = seqio.get_mixture_or_task(pretraining.SPANS)
    train, test = (
        targets[targets > 0].tolist()
        for targets in (
            load(task, split, lengths, limit).arrays()["targets"]
            for split, limit in (("train", UNIGRAM_ROWS), ("test", rows))
        )
    )
    first_sentinel = verses_vocabulary.VOCABULARY.vocab_size - verses_vocabulary.SENTINELS
    text, test_text = ([t for t in tokens if t < first_sentinel] for tokens in (train, test))
    size = verses_vocabulary.VOCABULARY.vocab_size
    return {
        "unigram_entropy": cross_entropy(train, test, size),
        "unigram_entropy_free_sentinels": cross_entropy(text, test_text, size)
        * (len(test_text) / len(test)),
    }


def cross_entropy(train: Sequence[int], test: Sequence[int], vocabulary_size: int) -> float:
    """Nats per token of `test` under the frequencies of `train`, each count one higher."""
    counts = collections.Counter(train)
    total = len(train) + vocabulary_size
    return -sum(math.log((counts[token] + 1) / total) for token in test) / len(test)


def standard_error(accuracy: float, examples: int) -> float:
    """Standard error of an accuracy, in per cent."""
    return 100 * math.sqrt(accuracy / 100 * (1 - accuracy / 100) / examples)


def of_models(models: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """For each model and each comparison: value, baseline, claim, and whether the claim holds."""
    return {name: _of_model(model, baseline) for name, model in models.items()}


def _of_model(model: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[dict[str, Any]]:
    loss = model["pretrain_evaluation"]["results"][0]["loss"]
    scores = {row["task"]: row["metrics"] for row in model["evaluation"]["results"]}
    findings = [
        {
            "task": "span corruption",
            "asked": "loss below the unigram entropy, nats",
            "value": loss,
            "baseline": baseline["unigram_entropy"],
            "holds": loss < baseline["unigram_entropy"],
        }
    ]
    for task in CLASSIFICATIONS:
        accuracy = scores[task]["accuracy"]
        error = standard_error(accuracy, baseline["examples"][task])
        findings.append(
            {
                "task": _NAMES[task],
                "asked": "accuracy 2 standard errors above the majority class, %",
                "value": accuracy,
                "baseline": baseline["majority"][task],
                "standard_error": error,
                "holds": accuracy - 2 * error > baseline["majority"][task],
            }
        )
    bleu = scores[MODERN_ENGLISH]["bleu"]
    findings.append(
        {
            "task": _NAMES[MODERN_ENGLISH],
            "asked": "BLEU above copying the source",
            "value": bleu,
            "baseline": baseline["copying"],
            "holds": bleu > baseline["copying"],
        }
    )
    return findings
