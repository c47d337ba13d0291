"""Order of metric values, lower or higher is better; no TensorFlow needed."""

from mtf_synthesizer import errors

LOWER = ("loss", "log_perplexity", "perplexity", "word_perplexity", "bits_per_byte")
HIGHER = (
    "accuracy",
    "average",  # mean over GLUE or SuperGLUE
    "bleu",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
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


def lower_is_better(metric: str) -> bool:
    """Return whether the lowest value of a metric is the best.

    Raises:
      errors.UserError: the metric is unknown, and a wrong guess would choose the worst value.
    """
    if metric not in (*LOWER, *HIGHER):
        known = ", ".join(sorted({*LOWER, *HIGHER}))
        raise errors.UserError(
            f"unknown metric {metric}: pass --better lower or --better higher. Known: {known}"
        )
    return metric in LOWER
