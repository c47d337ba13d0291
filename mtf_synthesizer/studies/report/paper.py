"""The paper's results as data: https://arxiv.org/abs/2005.00743, Tables 2 to 7.

Names of rows follow gin/synthesizers and gin/baselines; names of experiments, gin/experiments.
"""

import dataclasses
from collections.abc import Mapping

# Rows that are neither a synthesizer nor a baseline.
REPORTED = "reported"  # the values of the Transformer's own paper
BASE_PLUS = "base_plus"  # T5's own layer in the size base_plus

LABELS = {
    REPORTED: "Transformer (as reported)",
    "v": "Transformer (V)",
    "t5": "Transformer (V, T5's layer)",
    BASE_PLUS: "T5 (Base+)",
    "dynconv": "DyConv",
    "lightconv": "LightConv",
    "linformer": "Linformer",
    "fix": "Fixed random",
    "r": "R",
    "fr": "FR",
    "d": "D",
    "fd": "FD",
    "rd": "R+D",
    "dv": "D+V",
    "rv": "R+V",
    "frv": "FR+V",
    "d_plus_v": "D+V, plain sum",
    "r_plus_v": "R+V, plain sum",
    "toeplitz": "Toeplitz",
    "toeplitz_v": "Toeplitz+V",
    "uniform": "Uniform",
    "uniform_v": "Uniform+V",
    "bias": "Relative bias alone",
}

TITLES = {
    1: "Overview of all synthesizing functions",
    2: "Translation (WMT'14) and language modeling (LM1B)",
    3: "Summarization (CNN/DailyMail) and dialogue (PersonaChat)",
    4: "Validation log-perplexity on C4, speed and size",
    5: "GLUE, development sets",
    6: "SuperGLUE, development sets",
    7: "Encoding only: AG News and IMDB",
}


# Experiment -> its mixture, where a command must name it.
TASKS = {"table5_glue": "synthesizer_en_mix_v001"}

# Table -> contradictions and open questions of the paper about it.
NOTES: Mapping[int, tuple[str, ...]] = {
    2: (
        "No formula of D explains the paper's 62M (D), 67M (R+D) and 74M (D+V).",
        "According to the appendix these are Tensor2Tensor models with sinusoidal positions; ours "
        "have T5's relative bias or none. For theirs add --gin_file sinusoidal_positions.gin.",
    ),
    3: (
        "The paper claims that R+D outperforms the Transformer in summarization; none of its rows "
        "shows this.",
        "According to the appendix these are Tensor2Tensor models with sinusoidal positions; ours "
        "have T5's relative bias or none. For theirs add --gin_file sinusoidal_positions.gin.",
        "ROUGE-1, ROUGE-2 and BLEU-1 are from the paper's page of results, which lists only R+V.",
    ),
    4: (
        "From the printed numbers R is 61 % faster than DyConv (4.26 and 2.65 steps/s), and its "
        "log-perplexity is 3.3 % lower (1.972 and 2.040). The text states 60 % and 3.5 %.",
    ),
    5: (
        "The caption reads small, the rows read Base.",
        "The text gives T5 (Base+) about 10M more parameters, to match R+V and D+V. In Table 4 R+V "
        "and D+V have 69M and 20M more.",
        "The text puts R 4 to 5 points ahead of DyConv. The averages differ by 5.7 here and by 3.3 "
        "in Table 6.",
        "The paper's page of results calls CoLA's 53.3 and MRPC's 91.2 accuracy; they are Matthews "
        "correlation and F1.",
    ),
    6: (
        "The caption reads small, the rows read Base.",
        "The text puts R 4 to 5 points ahead of DyConv. The averages differ by 3.3 here and by 5.7 "
        "in Table 5.",
    ),
}


@dataclasses.dataclass(frozen=True)
class PaperColumn:
    """One column of a table that an evaluation fills.

    Attributes:
      table: number of the table.
      experiment: experiment of all its rows.
      metric: name of the metric in `evaluate`.
      title: title of the column.
      values: row -> value.
      higher_is_better: false for perplexities.
    """

    table: int
    experiment: str
    metric: str
    title: str
    values: Mapping[str, float]
    higher_is_better: bool = True


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """A table of GLUE or SuperGLUE.

    Attributes:
      table: number of the table.
      experiment: experiment of all its rows.
      benchmark: name of the benchmark in `averages`.
      tasks: columns after the average, as in `averages`.
      values: row -> the average, then one or two values of each task, in the order of `averages`.
    """

    table: int
    experiment: str
    benchmark: str
    tasks: tuple[str, ...]
    values: Mapping[str, tuple[tuple[float, ...], ...]]


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A column of the paper beside which `cost` or `bench` fills a column.

    Attributes:
      table: number of the table.
      title: title of the column.
      values: row -> value.
    """

    table: int
    title: str
    values: Mapping[str, float]


def _column(rows: tuple[str, ...], *values: float) -> dict[str, float]:
    return dict(zip(rows, values, strict=True))


def _scores(text: str) -> tuple[tuple[float, ...], ...]:
    """Parse a row in the paper's notation: "83.5 92.0/88.7"."""
    return tuple(tuple(float(part) for part in cell.split("/")) for cell in text.split())


_TABLE_2 = ("v", "fix", "r", "fr", "d", "fd", "rd", "dv", "rv")
_TABLE_3 = ("v", "r", "d", "dv", "rv")
# T5's own layer is the Transformer of Tables 4 to 6.
_TABLE_4 = ("t5", "dynconv", "lightconv", "d", "r", "r_plus_v", "d_plus_v")
_TABLE_7 = ("v", "linformer", "fr", "frv")

COLUMNS = (
    PaperColumn(
        2,
        "table2_wmt14_ende",
        "bleu",
        "En-De, BLEU",
        {REPORTED: 27.30}
        | _column(_TABLE_2, 27.67, 23.89, 27.27, 27.30, 27.43, 27.32, 27.68, 27.57, 28.47),
    ),
    PaperColumn(
        2,
        "table2_wmt14_enfr",
        "bleu",
        "En-Fr, BLEU",
        {REPORTED: 38.10}
        | _column(_TABLE_2, 41.57, 38.31, 41.12, 41.12, 41.39, 41.57, 41.21, 41.38, 41.85),
    ),
    PaperColumn(
        2,
        "table2_lm1b",
        "perplexity",
        "LM1B, perplexity",
        _column(_TABLE_2, 38.21, 50.52, 40.60, 42.40, 40.88, 41.20, 42.35, 37.27, 40.05),
        higher_is_better=False,
    ),
    PaperColumn(
        3,
        "table3_cnn_dailymail",
        "rougeL",
        "CNN/DailyMail, ROUGE-L",
        _column(_TABLE_3, 35.77, 33.10, 33.70, 36.02, 35.95),
    ),
    PaperColumn(3, "table3_cnn_dailymail", "rouge1", "CNN/DailyMail, ROUGE-1", {"rv": 38.57}),
    PaperColumn(3, "table3_cnn_dailymail", "rouge2", "CNN/DailyMail, ROUGE-2", {"rv": 16.24}),
    PaperColumn(
        3,
        "table3_personachat",
        "bleu_4",
        "PersonaChat, BLEU-4",
        _column(_TABLE_3, 3.20, 2.25, 4.02, 3.57, 2.28),
    ),
    PaperColumn(
        3,
        "table3_personachat",
        "rouge_l",
        "PersonaChat, ROUGE-L",
        _column(_TABLE_3, 13.38, 15.00, 15.22, 14.22, 14.79),
    ),
    PaperColumn(
        3,
        "table3_personachat",
        "meteor",
        "PersonaChat, METEOR",
        _column(_TABLE_3, 5.89, 6.42, 6.61, 6.32, 6.39),
    ),
    PaperColumn(
        3,
        "table3_personachat",
        "cider",
        "PersonaChat, CIDEr",
        _column(_TABLE_3, 18.94, 19.57, 20.54, 18.87, 19.09),
    ),
    PaperColumn(3, "table3_personachat", "bleu_1", "PersonaChat, BLEU-1", {"rv": 14.7}),
    PaperColumn(
        4,
        "table4_c4",
        "log_perplexity",
        "C4, log-perplexity",
        _column(_TABLE_4, 1.865, 2.040, 1.972, 1.965, 1.972, 1.849, 1.832),
        higher_is_better=False,
    ),
    PaperColumn(
        7,
        "table7_ag_news",
        "accuracy",
        "AG News, accuracy",
        _column(_TABLE_7, 88.83, 86.50, 86.53, 89.13),
    ),
    PaperColumn(
        7,
        "table7_imdb",
        "accuracy",
        "IMDB, accuracy",
        _column(_TABLE_7, 81.34, 82.86, 83.39, 84.61),
    ),
)

LEADERBOARDS = (
    Leaderboard(
        5,
        "table5_glue",
        "GLUE",
        ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE"),
        {
            row: _scores(text)
            for row, text in {
                "t5": "83.5 53.1 92.2 92.0/88.7 89.1/88.9 88.2/91.2 84.7/85.0 91.7 76.9",
                BASE_PLUS: "82.8 54.3 92.9 88.0/83.8 85.2/85.4 88.3/91.2 84.2/84.3 91.4 79.1",
                "dynconv": "69.4 33.9 90.6 82.6/72.5 60.7/63.1 84.2/88.2 73.8/75.1 84.4 58.1",
                "r": "75.1 41.2 91.2 85.9/79.4 74.0/74.3 85.5/89.0 77.6/78.1 87.6 59.2",
                "d": "72.0 18.9 89.9 86.4/79.4 75.3/75.5 85.2/88.3 77.4/78.1 86.9 57.4",
                "d_plus_v": "82.6 48.6 92.4 91.2/87.7 88.9/89.0 88.6/91.5 84.3/84.8 91.7 75.1",
                "r_plus_v": "84.1 53.3 92.2 91.2/87.7 89.3/88.9 88.6/91.4 85.0/84.6 92.3 81.2",
            }.items()
        },
    ),
    Leaderboard(
        6,
        "table5_glue",
        "SuperGLUE",
        ("BoolQ", "CB", "COPA", "MultiRC", "ReCoRD", "RTE", "WiC", "WSC"),
        {
            row: _scores(text)
            for row, text in {
                "t5": "70.3 78.2 72.1/83.9 59.0 73.1/32.1 71.1/70.3 77.3 65.8 80.8",
                BASE_PLUS: "70.7 79.3 81.1/87.5 60.0 75.1/34.4 71.7/70.7 80.5 64.6 71.2",
                "dynconv": "57.8 66.7 65.9/73.2 58.0 57.9/8.71 58.4/57.4 69.0 58.6 73.1",
                "r": "61.1 69.5 54.6/73.2 60.0 63.0/15.7 58.4/57.4 67.5 64.4 66.3",
                "d": "58.5 69.5 51.7/71.4 51.0 66.0/15.8 54.1/53.0 67.5 65.2 58.7",
                "d_plus_v": "69.7 79.3 74.3/85.7 64.0 73.8/33.7 69.9/69.2 78.7 64.3 68.3",
                "r_plus_v": "72.2 79.3 82.7/91.1 64.0 74.3/34.9 70.8/69.9 82.7 64.6 75.0",
            }.items()
        },
    ),
)

PARAMETERS = Quantity(4, "parameters, M", _column(_TABLE_4, 223, 257, 224, 224, 254, 292, 243))
TFLOPS = Quantity(4, "TFLOPS", _column(_TABLE_4, 3.70, 3.93, 3.50, 3.80, 3.36, 4.03, 4.20))
SPEED = Quantity(4, "steps/s", _column(_TABLE_4, 3.90, 2.65, 4.05, 3.61, 4.26, 3.79, 3.34))
TRANSLATION_PARAMETERS = Quantity(
    2,
    "parameters (translation), M",
    {REPORTED: 67} | _column(_TABLE_2, 67, 61, 67, 61, 62, 61, 67, 74, 73),
)
LM_PARAMETERS = Quantity(
    2, "parameters (LM1B), M", _column(_TABLE_2, 70, 53, 58, 53, 53, 53, 58, 70, 70)
)
ENCODING_SPEED = Quantity(7, "steps/s", _column(_TABLE_7, 1.09, 1.09, 1.10, 0.80))

# Experiment -> experiment that pretrains its models.
STARTS = {"table5_glue": "table4_c4", "glue_small": "c4_small", "verses": "verse_spans"}

# Our small versions of a table's experiment, in which to look for the paper's ordering.
LIKE = {
    "multi30k_ende": "table2_wmt14_ende",
    "modern_english": "table2_wmt14_ende",
    "tiny_shakespeare": "table2_lm1b",
    "imdb_small": "table7_imdb",
}


def columns(experiment: str) -> list[PaperColumn]:
    """The paper's columns for an experiment, or for the larger experiment that it resembles."""
    source = LIKE.get(experiment, experiment)
    return [column for column in COLUMNS if column.experiment == source]


def rows(experiment: str) -> list[str]:
    """The rows of an experiment's columns."""
    return list(
        dict.fromkeys(row for c in COLUMNS if c.experiment == experiment for row in c.values)
    )
