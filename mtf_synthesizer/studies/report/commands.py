"""The commands that fill the paper's tables, as `report` prints them for cells that nobody has run.

Each command is one line. An earlier command trains the model that a later one starts from.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence

from mtf_synthesizer.studies.report import paper

# The splits that `compare` takes unless told otherwise.
SPLIT, VALIDATION_SPLIT = "test", "validation"
_PROGRAM = "mtf_synthesizer"
_DATA = ("--tfds_data_dir", "data")
# T5's own layer, which must stay without the gin files of Table 4's layers.
_STOCK = "t5"
_BASE_PLUS_START, _BASE_PLUS = "runs/base_plus_c4", "runs/base_plus"


@dataclasses.dataclass(frozen=True)
class TableSetting:
    """Settings of the comparison for a table of the paper.

    Attributes:
      split: split of the table's values.
      validation_split: tells whether the loss still falls; "test" where the data lacks validation.
      layers: gin files of the rows that are not T5's own layer.
      evaluation: gin files of the evaluation.
      start: experiment whose models are fine-tuned.
    """

    split: str = SPLIT
    validation_split: str = VALIDATION_SPLIT
    layers: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    start: str | None = None


_BEAMS = ("beam_search.gin",)
_LAYERS = ("table4_layers.gin",)
SETTINGS: Mapping[str, TableSetting] = {
    "table2_wmt14_ende": TableSetting(evaluation=_BEAMS),
    "table2_wmt14_enfr": TableSetting(evaluation=_BEAMS),
    "table2_lm1b": TableSetting(validation_split="test"),
    "table3_cnn_dailymail": TableSetting(),
    "table3_personachat": TableSetting(split="validation"),
    "table4_c4": TableSetting(split="validation", layers=_LAYERS),
    "table5_glue": TableSetting(split="validation", layers=_LAYERS, start="table4_c4"),
    "table7_ag_news": TableSetting(validation_split="test"),
    "table7_imdb": TableSetting(validation_split="test"),
}


def split(experiment: str) -> str:
    """The split of the table's values."""
    return SETTINGS[experiment].split


def missing(experiment: str, rows: Sequence[str]) -> tuple[str, ...]:
    """The commands that train and evaluate rows of an experiment."""
    commands = []
    for stock in (True, False):
        group = [
            row for row in rows if row != paper.BASE_PLUS and _is_stock(experiment, row) is stock
        ]
        if group:
            commands.append(_comparison(experiment, group, stock))
    if paper.BASE_PLUS in rows:
        commands += _base_plus(experiment)
    return tuple(commands)


def _is_stock(experiment: str, row: str) -> bool:
    """True for a row with a separate folder, because it is trained without the layers' files."""
    return row == _STOCK and bool(SETTINGS[experiment].layers)


def _comparison(experiment: str, rows: Sequence[str], stock: bool) -> str:
    setting = SETTINGS[experiment]
    parts = ["compare", "--experiment", experiment, "--rows", ",".join(rows), "--seeds", "0,1,2"]
    for file in () if stock else setting.layers:
        parts += ["--gin_file", file]
    if setting.start:
        parts += ["--init_checkpoint", _folder(setting.start, stock)]
    if setting.split != SPLIT:
        parts += ["--split", setting.split]
    if setting.validation_split != VALIDATION_SPLIT:
        parts += ["--validation_split", setting.validation_split]
    for file in setting.evaluation:
        parts += ["--evaluation_gin_file", file]
    return _line(*parts, *_DATA, "--output", _folder(experiment, stock))


def _folder(experiment: str, stock: bool) -> str:
    return f"runs/{experiment}_{_STOCK}" if stock else f"runs/{experiment}"


def _base_plus(experiment: str) -> list[str]:
    """Pretraining, fine-tuning and evaluation of T5 (Base+)."""
    model = ("--synthesizer", _STOCK, "--size", "base_plus")
    start = SETTINGS[experiment].start
    assert start is not None
    tuned = ("--experiment", experiment, *model, "--init_checkpoint", _BASE_PLUS_START)
    asked = ("--task", paper.TASKS[experiment], "--split", split(experiment))
    return [
        _line("train", "--experiment", start, *model, *_DATA, "--model_dir", _BASE_PLUS_START),
        _line("train", *tuned, *_DATA, "--model_dir", _BASE_PLUS),
        _line("evaluate", "--model_dir", _BASE_PLUS, *asked, *_DATA),
    ]


def _line(*parts: str) -> str:
    return shlex.join([_PROGRAM, *parts])
