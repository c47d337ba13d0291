"""The metrics that `evaluate` computes for a task: its own, but for some of T5's.

T5's tasks are used unchanged; of their metrics three are replaced. BLEU has the same value and a
signature besides, ROUGE is a mean instead of a random resampling, and the correlations of STS-B
clip to its range and are no NaN. docs/metrics.md says what was checked of the others.
"""

from collections.abc import Mapping

import seqio
from t5.evaluation import metrics as t5_metrics

from mtf_synthesizer.tasks import metrics, text_metrics
from mtf_synthesizer.tasks.metrics import Metric

REPLACED: Mapping[Metric, Metric] = {
    t5_metrics.bleu: text_metrics.international_bleu,
    t5_metrics.rouge: text_metrics.rouge,
}
# T5 uses these for other ranges too, in tasks of others.
REPLACED_IN: Mapping[str, Mapping[Metric, Metric]] = {
    "glue_stsb_v002": {
        t5_metrics.pearson_corrcoef: metrics.similarity_pearson,
        t5_metrics.spearman_corrcoef: metrics.similarity_spearman,
    }
}


def of(task: seqio.Task) -> list[Metric]:
    """The metrics of decoded text; empty if a task has none, or only some of scores."""
    replaced = {**REPLACED, **REPLACED_IN.get(task.name, {})}
    return [replaced.get(metric, metric) for metric in task.predict_metric_fns]
