"""The rows of the paper's tables as configurations, cut to a size that is built in seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from mtf_synthesizer.config import gin_files, request
from mtf_synthesizer.studies.report import paper

MESH, LAYOUT = "batch:4;model:2", "batch:batch;heads:model;d_ff:model;vocab:model"
BATCH = 16

# Only sizes: what the rows and tables differ in stays. The batch in two parts, one after another;
# a decoder alone reads inputs and writes targets in one row.
_CUT = (
    "d_model = 32",
    "num_layers = 1",
    "d_ff = 64",
    "num_heads = 4",
    "d_kv = 8",
    "inputs_length = 16",
    "targets_length = 16",
    "serialize_num_microbatches.tokens_per_microbatch_per_replica = 32",
)
_CUT_WORDS = 256
_CUT_TABLES = "max_length = 32"
_WITHOUT_TABLES = ("lightconv", "dynconv")
# Of T5-base, at its own size: what Table 4 is about.
_WHOLE = ("v", "r", "d", "r_plus_v")
_WHOLE_WORDS = 32_128
_TABLE_4 = "table4_c4"


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
      tables: their numbers.
      experiment: what the table's rows have in common.
      name: of the row, as in `paper`.
      whole: whether it has the paper's size.
    """

    tables: tuple[int, ...]
    experiment: str
    name: str
    whole: bool = False

    @property
    def words(self) -> int:
        """In the vocabulary."""
        return _WHOLE_WORDS if self.whole else _CUT_WORDS

    @property
    def batch(self) -> int | None:
        """Rows of a batch; None for the experiment's."""
        return None if self.whole else BATCH

    def configuration(self) -> request.Configuration:
        """What `train` would be given for it, but for the size."""
        larger = self.name == paper.BASE_PLUS
        synthesizer = "v" if larger else self.name
        layers = self.experiment == _TABLE_4 and synthesizer in gin_files.known("synthesizers")
        return request.for_training(
            request.Request(
                synthesizer=synthesizer,
                experiment=self.experiment,
                size="base_plus" if larger else None,
                gin_files=["table4_layers.gin"] if layers else [],
                gin_params=self._changes(),
            )
        )

    def _changes(self) -> list[str]:
        if self.whole:
            return []
        return [*_CUT] if self.name in _WITHOUT_TABLES else [*_CUT, _CUT_TABLES]


def rows() -> list[Row]:
    """Every row of Tables 2 to 7, once for each experiment, then those at their whole size."""
    tables: dict[tuple[str, str], set[int]] = {}
    for experiment, table, row in _reported():
        tables.setdefault((experiment, row), set()).add(table)
    cut = [Row(tuple(sorted(of)), *key) for key, of in tables.items()]
    return cut + [Row((4,), _TABLE_4, name, whole=True) for name in _WHOLE]


def _reported() -> Iterator[tuple[str, int, str]]:
    of_columns: Iterable[paper.PaperColumn | paper.Leaderboard] = paper.COLUMNS
    for column in (*of_columns, *paper.LEADERBOARDS):
        for row in column.values:
            if row != paper.REPORTED:
                yield column.experiment, column.table, row
