"""The rows of a run, each with its precision and program; no TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mtf_synthesizer.errors import check
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.studies.bench.setting import STOCK, Setting

BOTH = "both"
HUGGINGFACE = "huggingface"


@dataclasses.dataclass(frozen=True)
class BenchEntry:
    """A row that is measured with one precision.

    Attributes:
      row: one of `setting.ROWS`, or `HUGGINGFACE`.
      precision: "float32" or "bfloat16".
      setting: shape, mode and program.
    """

    row: str
    precision: str
    setting: Setting

    @property
    def process(self) -> tuple[str, str]:
        """Program and precision; entries with the same value share a process."""
        program = self.row if self.row == HUGGINGFACE else "stock" if self.row in STOCK else "ours"
        return program, self.precision


def precisions(asked: str) -> tuple[str, ...]:
    """The precisions of a run.

    Args:
      asked: one of `precision.CHOICES`, or `BOTH`.

    Raises:
      errors.UserError: an unknown choice, or bfloat16 on a CPU without the instructions.
    """
    check(precision.FLAG, asked, (*precision.CHOICES, BOTH))
    if asked == BOTH:
        return precision.FLOAT32, precision.resolve(precision.BFLOAT16)
    return (precision.resolve(asked),)


def entries(rows: Sequence[str], setting: Setting, precisions: Sequence[str]) -> list[BenchEntry]:
    """The entries of rows, in their order; rows of T5's own program are float32 only."""
    lineup = []
    for row in rows:
        if row in STOCK:
            lineup.append(BenchEntry(row, precision.FLOAT32, setting.as_stock))
        else:
            lineup += [BenchEntry(row, name, setting) for name in precisions]
    return lineup


def against(setting: Setting) -> list[BenchEntry]:
    """The entries of transformers: float32, and bfloat16 if the CPU has instructions for it."""
    precisions = [precision.FLOAT32, *([precision.BFLOAT16] if precision.instructions() else [])]
    return [BenchEntry(HUGGINGFACE, name, setting) for name in precisions]
