"""Averages against rows that the leaderboards and the paper published."""

import pytest

from mtf_synthesizer.inference import averages

GLUE_TASKS = [
    ("cola", "matthews_corrcoef"),
    ("sst2", "accuracy"),
    ("mrpc", "f1 accuracy"),
    ("stsb", "pearson_corrcoef spearman_corrcoef"),
    ("qqp", "f1 accuracy"),
    ("mnli_matched", "accuracy"),
    ("mnli_mismatched", "accuracy"),
    ("qnli", "accuracy"),
    ("rte", "accuracy"),
    ("wnli", "accuracy"),
]
SUPER_GLUE_TASKS = [
    ("boolq", "accuracy"),
    ("cb", "mean_3class_f1 accuracy"),
    ("copa", "accuracy"),
    ("multirc", "f1 exact_match"),
    ("record", "f1 em"),
    ("rte", "accuracy"),
    ("wic", "accuracy"),
    ("wsc", "accuracy"),
]
# Test scores with all nine tasks, as the leaderboard shows them.
GLUE_LEADERBOARD = {
    "BERT large": "80.5 60.5 94.9 89.3/85.4 87.6/86.5 72.1/89.3 86.7/85.9 92.7 70.1 65.1",
    "Bort": "83.6 63.9 96.2 94.1/92.3 89.2/88.3 66.0/85.9 88.1/87.8 92.3 82.7 71.2",
}
SUPER_GLUE_LEADERBOARD = {
    "BERT large": "69.0 77.4 75.7/83.6 70.6 70.0/24.1 72.0/71.3 71.7 69.6 64.4",
    "Bort": "74.1 83.7 81.9/86.5 89.6 83.7/54.1 49.8/49.0 81.2 70.1 65.8",
}
# Tables 5 and 6 of the paper: development scores, without WNLI.
PAPER_GLUE = {
    "T5 (Base)": "83.5 53.1 92.2 92.0/88.7 89.1/88.9 88.2/91.2 84.7/85.0 91.7 76.9",
    "T5 (Base+)": "82.8 54.3 92.9 88.0/83.8 85.2/85.4 88.3/91.2 84.2/84.3 91.4 79.1",
    "Syn (R)": "75.1 41.2 91.2 85.9/79.4 74.0/74.3 85.5/89.0 77.6/78.1 87.6 59.2",
    "Syn (D)": "72.0 18.9 89.9 86.4/79.4 75.3/75.5 85.2/88.3 77.4/78.1 86.9 57.4",
    "Syn (D+V)": "82.6 48.6 92.4 91.2/87.7 88.9/89.0 88.6/91.5 84.3/84.8 91.7 75.1",
    "Syn (R+V)": "84.1 53.3 92.2 91.2/87.7 89.3/88.9 88.6/91.4 85.0/84.6 92.3 81.2",
}
PAPER_SUPER_GLUE = {
    "T5 (Base)": "70.3 78.2 72.1/83.9 59.0 73.1/32.1 71.1/70.3 77.3 65.8 80.8",
    "T5 (Base+)": "70.7 79.3 81.1/87.5 60.0 75.1/34.4 71.7/70.7 80.5 64.6 71.2",
    "Syn (R)": "61.1 69.5 54.6/73.2 60.0 63.0/15.7 58.4/57.4 67.5 64.4 66.3",
    "Syn (D)": "58.5 69.5 51.7/71.4 51.0 66.0/15.8 54.1/53.0 67.5 65.2 58.7",
    "Syn (D+V)": "69.7 79.3 74.3/85.7 64.0 73.8/33.7 69.9/69.2 78.7 64.3 68.3",
    "Syn (R+V)": "72.2 79.3 82.7/91.1 64.0 74.3/34.9 70.8/69.9 82.7 64.6 75.0",
}
PUBLISHED = [
    *[("GLUE", "glue_{}_v002", GLUE_TASKS, row) for row in GLUE_LEADERBOARD.values()],
    *[("GLUE", "glue_{}_v002", GLUE_TASKS[:-1], row) for row in PAPER_GLUE.values()],
    *[
        ("SuperGLUE", "super_glue_{}_v102", SUPER_GLUE_TASKS, row)
        for row in [*SUPER_GLUE_LEADERBOARD.values(), *PAPER_SUPER_GLUE.values()]
    ],
]


def scores(name, tasks, row):
    """Published average, and task -> metrics."""
    published, *values = map(float, row.replace("/", " ").split())
    found, rest = {}, iter(values)
    for task, metrics in tasks:
        found[name.format(task)] = {metric: next(rest) for metric in metrics.split()}
    assert not list(rest)
    return published, found


@pytest.mark.parametrize(("benchmark", "name", "tasks", "row"), PUBLISHED)
def test_published_averages(benchmark, name, tasks, row):
    published, found = scores(name, tasks, row)
    (average,) = averages.averages(found)
    assert average["benchmark"] == benchmark
    # The entries are rounded to a tenth too.
    assert average["value"] == pytest.approx(published, abs=0.1)
    assert average["missing"] == (["WNLI"] if tasks == GLUE_TASKS[:-1] else [])


def test_one_row_of_the_paper_is_not_the_mean_of_its_entries():
    """DyConv: the entries give 70.9 and 60.8."""
    row = "69.4 33.9 90.6 82.6/72.5 60.7/63.1 84.2/88.2 73.8/75.1 84.4 58.1"
    published, found = scores("glue_{}_v002", GLUE_TASKS[:-1], row)
    assert averages.averages(found)[0]["value"] - published == pytest.approx(1.5, abs=0.05)
    row = "57.8 66.7 65.9/73.2 58.0 57.9/8.71 58.4/57.4 69.0 58.6 73.1"
    published, found = scores("super_glue_{}_v102", SUPER_GLUE_TASKS, row)
    assert averages.averages(found)[0]["value"] - published == pytest.approx(3.0, abs=0.05)


def test_what_is_missing_is_named_and_not_counted():
    found = {
        "glue_cola_v002": {"matthews_corrcoef": 40.0},
        "glue_mrpc_v002": {"f1": 90.0, "accuracy": 80.0, "other": 1.0},
        "glue_mnli_matched_v002": {"accuracy": 1.0},  # only half of MNLI
        "glue_stsb_v002": {"pearson_corrcoef": 1.0},  # only half of its metrics
        "glue_ax_v002": {"accuracy": 1.0},
        "super_glue_rte_v102": {"accuracy": 1.0},  # a single one of SuperGLUE
    }
    (average,) = averages.averages(found)
    assert average == {
        "benchmark": "GLUE",
        "value": (40 + 85) / 2,
        "tasks": {"CoLA": 40.0, "MRPC": 85.0},
        "missing": ["SST-2", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI"],
    }


def test_tasks_are_known_by_their_names():
    found = {
        "super_glue_wsc_v102_simple_train": {},
        "super_glue_wsc_v102_simple_eval": {"accuracy": 60.0},
        "synthesizer_super_glue_copa_v001": {"accuracy": 50.0},
        "super_glue_cb_v102_1_sentinel": {"mean_3class_f1": 10.0, "accuracy": 30.0},
        "glue_copa_v002": {"accuracy": 1.0},
        "imdb_v001": {"accuracy": 1.0},
    }
    (average,) = averages.averages(found)
    assert average["tasks"] == {"CB": 20.0, "COPA": 50.0, "WSC": 60.0}
    assert average["value"] == pytest.approx(130 / 3)
