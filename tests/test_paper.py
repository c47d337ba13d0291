"""The paper's values as data: rows, experiments and metrics exist under these names."""

import gin
import pytest
import seqio

from mtf_synthesizer import configuration, names, paper, stock
from mtf_synthesizer.tasks import dialogue_metrics

# What evaluate adds of itself where a task has no metrics.
FROM_LOSS = {"log_perplexity", "perplexity", "word_perplexity"}


@pytest.mark.parametrize("column", paper.COLUMNS, ids=lambda c: f"{c.experiment}-{c.metric}")
def test_a_column(column):
    assert set(column.values) <= set(names.known("synthesizers"))
    request = configuration.Request(synthesizer="v", experiment=column.experiment)
    with stock.configured(configuration.for_training(request), verbose=False):
        task = gin.query_parameter("%MIXTURE_NAME")
    stock.check_task(task)
    metrics = seqio.TaskRegistry.get(task).metric_fns
    if not metrics:
        assert column.metric in FROM_LOSS
    elif column.experiment == "table3_personachat":  # computing them needs packages of an extra
        assert column.metric in {"bleu_4", "rouge_l", *vars(dialogue_metrics)}
    else:
        keys = {key for metric in metrics for key in metric(["a b c d e"], ["a b c d f"])}
        assert column.metric in keys


def test_small_experiments_stand_beside_those_they_resemble():
    for small, like in paper.LIKE.items():
        assert small in names.known("experiments")
        assert paper.columns(small) == paper.columns(like) != []


def test_values_that_are_known():
    by = {(c.experiment, c.metric): c.values for c in paper.COLUMNS}
    assert by["table2_wmt14_ende", "bleu"]["rv"] == 28.47
    assert by["table2_lm1b", "perplexity"]["fix"] == 50.52
    assert by["table7_imdb", "accuracy"]["frv"] == 84.61
    assert by["table4_c4", "log_perplexity"]["d_plus_v"] == 1.832
