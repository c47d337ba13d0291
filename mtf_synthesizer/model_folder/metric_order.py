"""Which of two values of a metric is the better one. Loads no TensorFlow."""

from mtf_synthesizer import errors

LOWER = ("loss", "log_perplexity", "perplexity", "word_perplexity", "bits_per_byte")
HIGHER = (
    "accuracy",
    "average",  # of GLUE or SuperGLUE
    "bleu",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "cider",
    "em",
    "exact_match",
    "f1",
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
    """Whether the smallest value of a metric is the best.

    Raises:
      errors.UserError: a metric that is not known; a wrong guess would choose the worst.
    """
    if metric not in (*LOWER, *HIGHER):
        known = ", ".join(sorted({*LOWER, *HIGHER}))
        raise errors.UserError(
            f"whether the lowest or the highest {metric} is the best is not known: say it with "
            f"--better lower or --better higher. Known: {known}"
        )
    return metric in LOWER
