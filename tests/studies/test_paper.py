"""The paper's values as data: rows, experiments and metrics exist under these names."""

import statistics

import gin
import pytest
import seqio

from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.inference import averages
from mtf_synthesizer.studies.cost import paper_tables
from mtf_synthesizer.studies.report import paper
from mtf_synthesizer.tasks import dialogue_metrics
from mtf_synthesizer.upstream import session
from mtf_synthesizer.upstream.tasks import check_task

ROWS = {*gin_files.known("synthesizers"), *gin_files.known("baselines")}
OTHER_AVERAGES = {(5, "dynconv"): 70.89, (6, "dynconv"): 60.77}
# What evaluate adds of itself where a task has no metrics.
FROM_LOSS = {"log_perplexity", "perplexity", "word_perplexity"}


@pytest.mark.parametrize("column", paper.COLUMNS, ids=lambda c: f"{c.experiment}-{c.metric}")
def test_a_column(column):
    assert set(column.values) <= {*ROWS, paper.REPORTED}
    request = Request(synthesizer="v", experiment=column.experiment)
    with session.configured(for_training(request), verbose=False):
        task = gin.query_parameter("%MIXTURE_NAME")
    check_task(task)
    metrics = seqio.TaskRegistry.get(task).metric_fns
    if not metrics:
        assert column.metric in FROM_LOSS
    elif column.experiment == "table3_personachat":  # computing them needs packages of an extra
        assert column.metric in {"bleu_1", "bleu_4", "rouge_l", *vars(dialogue_metrics)}
    else:
        keys = {key for metric in metrics for key in metric(["a b c d e"], ["a b c d f"])}
        assert column.metric in keys


def test_small_experiments_stand_beside_those_they_resemble():
    for small, like in paper.LIKE.items():
        assert small in gin_files.known("experiments")
        assert paper.columns(small) == paper.columns(like) != []


def test_values_that_are_known():
    by = {(c.experiment, c.metric): c.values for c in paper.COLUMNS}
    assert by["table2_wmt14_ende", "bleu"]["rv"] == 28.47
    assert by["table2_lm1b", "perplexity"]["fix"] == 50.52
    assert by["table7_imdb", "accuracy"]["frv"] == 84.61
    assert by["table4_c4", "log_perplexity"]["d_plus_v"] == 1.832
    assert by["table4_c4", "log_perplexity"]["dynconv"] == 2.040
    assert by["table7_ag_news", "accuracy"]["linformer"] == 86.50
    assert by["table2_wmt14_enfr", "bleu"][paper.REPORTED] == 38.10
    # "65% faster" than dynamic convolutions, "5% faster" than lightweight ones.
    speed = paper.SPEED.values
    assert speed["r"] / speed["dynconv"] == pytest.approx(1.61, abs=0.005)
    assert speed["r"] / speed["lightconv"] == pytest.approx(1.05, abs=0.005)


@pytest.mark.parametrize("board", paper.LEADERBOARDS, ids=lambda board: board.benchmark)
def test_averages_are_those_of_the_tasks(board):
    """As printed, but for DyConv: the paper's averages, 69.4 and 57.8, are not of its tasks."""
    benchmark = next(each for each in averages.BENCHMARKS if each.name == board.benchmark)
    metrics = {column.name: len(column.metrics) * len(column.tasks) for column in benchmark.columns}
    assert set(board.values) <= {*ROWS, paper.BASE_PLUS}
    for row, (average, *tasks) in board.values.items():
        assert [len(scores) for scores in tasks] == [metrics[name] for name in board.tasks]
        mean = statistics.fmean(map(statistics.fmean, tasks))
        expected = OTHER_AVERAGES.get((board.table, row), *average)
        assert mean == pytest.approx(expected, abs=0.07)


def test_quantities_have_the_rows_of_their_tables():
    assert set(paper.SPEED.values) == set(paper.TFLOPS.values) == set(paper.PARAMETERS.values)
    translation = dict(paper.TRANSLATION_PARAMETERS.values)
    assert translation.pop(paper.REPORTED) == 67
    assert translation == paper_tables.TRANSLATION
    of_models = {model.row: model for model in paper_tables.MODELS}
    for row, millions in paper.PARAMETERS.values.items():
        assert of_models[row].paper_millions == millions
        assert of_models[row].paper_flops == paper.TFLOPS.values[row]
    for column in (*paper.COLUMNS, *paper.LEADERBOARDS):
        assert set(column.values) <= set(paper.LABELS)
        assert column.table in paper.TITLES
