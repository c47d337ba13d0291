"""What the paper reports, as data: https://arxiv.org/abs/2005.00743, Tables 2, 3, 4 and 7.

Rows are named as in gin/synthesizers, experiments as in gin/experiments.
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      table: its number.
      experiment: what all its rows have in common.
      metric: as `evaluate` calls it.
      values: row -> value.
      higher_is_better: false for perplexities.
    """

    table: int
    experiment: str
    metric: str
    values: Mapping[str, float]
    higher_is_better: bool = True


_TABLE_3 = ("v", "r", "d", "dv", "rv")
_TABLE_2 = ("v", "fix", "r", "fr", "d", "fd", "rd", "dv", "rv")


def _column(rows: tuple[str, ...], *values: float) -> dict[str, float]:
    return dict(zip(rows, values, strict=True))


COLUMNS = (
    Column(
        2,
        "table2_wmt14_ende",
        "bleu",
        _column(_TABLE_2, 27.67, 23.89, 27.27, 27.30, 27.43, 27.32, 27.68, 27.57, 28.47),
    ),
    Column(
        2,
        "table2_wmt14_enfr",
        "bleu",
        _column(_TABLE_2, 41.57, 38.31, 41.12, 41.12, 41.39, 41.57, 41.21, 41.38, 41.85),
    ),
    Column(
        2,
        "table2_lm1b",
        "perplexity",
        _column(_TABLE_2, 38.21, 50.52, 40.60, 42.40, 40.88, 41.20, 42.35, 37.27, 40.05),
        higher_is_better=False,
    ),
    Column(
        3, "table3_cnn_dailymail", "rougeL", _column(_TABLE_3, 35.77, 33.10, 33.70, 36.02, 35.95)
    ),
    Column(3, "table3_personachat", "bleu_4", _column(_TABLE_3, 3.20, 2.25, 4.02, 3.57, 2.28)),
    Column(
        3, "table3_personachat", "rouge_l", _column(_TABLE_3, 13.38, 15.00, 15.22, 14.22, 14.79)
    ),
    Column(3, "table3_personachat", "meteor", _column(_TABLE_3, 5.89, 6.42, 6.61, 6.32, 6.39)),
    Column(3, "table3_personachat", "cider", _column(_TABLE_3, 18.94, 19.57, 20.54, 18.87, 19.09)),
    Column(
        4,
        "table4_c4",
        "log_perplexity",
        {"v": 1.865, "d": 1.965, "r": 1.972, "r_plus_v": 1.849, "d_plus_v": 1.832},
        higher_is_better=False,
    ),
    Column(7, "table7_ag_news", "accuracy", {"v": 88.83, "fr": 86.53, "frv": 89.13}),
    Column(7, "table7_imdb", "accuracy", {"v": 81.34, "fr": 83.39, "frv": 84.61}),
)

# Experiments of ours that are a table's in small: where to look for the paper's ordering.
LIKE = {
    "multi30k_ende": "table2_wmt14_ende",
    "tiny_shakespeare": "table2_lm1b",
    "imdb_small": "table7_imdb",
}


def columns(experiment: str) -> list[Column]:
    """The columns of the paper that an experiment, or one it resembles, stands beside."""
    wanted = LIKE.get(experiment, experiment)
    return [column for column in COLUMNS if column.experiment == wanted]
