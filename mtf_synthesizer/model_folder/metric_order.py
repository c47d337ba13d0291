"""Order of metric values, lower or higher is better; no TensorFlow needed."""

from mtf_synthesizer import errors

LOWER = (
    "bits_per_byte",
    "cer",
    "log_perplexity",
    "loss",
    "mae",
    "mse",
    "perplexity",
    "rmse",
    "ter",
    "wer",
    "word_perplexity",
)
HIGHER = (
    "accuracy",
    "auc-pr",
    "auc-roc",
    "average",  # mean over GLUE or SuperGLUE
    "bleu",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "chrf",
    "cider",
    "em",
    "exact_match",
    "f1",
    "macro_f1",
    "matthews_corrcoef",
    "mean_3class_f1",
    "meteor",
    "official_pearson_corrcoef",
    "official_spearman_corrcoef",
    "pearson_corrcoef",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "rouge_l",
    "sequence_accuracy",
    "spearman_corrcoef",
    "symbol_accuracy",
    "token_accuracy",
    "tokenized_bleu",
)


def is_known(metric: str) -> bool:
    """Return whether the best of a metric's values is known."""
    return metric in LOWER or metric in HIGHER


def lower_is_better(metric: str) -> bool:
    """Return whether the lowest value of a metric is the best.

    Raises:
      errors.UserError: the metric is unknown, and a wrong guess would choose the worst value.
    """
    if not is_known(metric):
        known = ", ".join(sorted({*LOWER, *HIGHER}))
        raise errors.UserError(
            f"unknown metric {metric}: pass --better lower or --better higher. Known: {known}"
        )
    return metric in LOWER
