"""Losses and validation scores of a run, stored in its folder."""

import json
from collections.abc import Mapping

from mtf_synthesizer.files import paths, records, saving

LOSS_FILE = "loss.jsonl"
VALIDATION = "validation/"  # begins the names of scores


class LossLog:
    """Mean losses and validation scores of a run, stored in a file.

    A resumed run has the whole curve. Each line is a JSON object: step, loss (mean since the
    previous such line), seconds (of training since that line) and steps_per_second; or step and the
    scores of an evaluation while training, as validation/NAME.

    Attributes:
      path: path of the file.
      step: the last trained step, logged or not.
    """

    def __init__(self, folder: paths.Path):
        self.path = folder / LOSS_FILE
        self.step = 0

    def read(self) -> list[dict[str, float]]:
        """Return every complete line with a loss in the order of steps; skip damaged lines."""
        return [row for row in self._rows() if "loss" in row]

    def validations(self) -> list[dict[str, float]]:
        """Return step and scores, by their names, of every evaluation."""
        rows = (row for row in self._rows() if "loss" not in row)
        return [{name.removeprefix(VALIDATION): v for name, v in row.items()} for row in rows]

    def _rows(self) -> list[dict[str, float]]:
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().decode("utf-8", errors="replace").splitlines()
        return [row for line in lines if (row := _row(line)) is not None]

    def rewind(self, step: int) -> None:
        """Drop the lines after `step`, whose checkpoint the run resumes from."""
        self.step = step
        kept = [row for row in self._rows() if row["step"] <= step]
        saving.write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def append(self, row: dict[str, float]) -> None:
        """Append a line.

        Args:
          row: step, loss, seconds and steps_per_second.
        """
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def append_scores(self, step: int, scores: Mapping[str, float]) -> None:
        """Append the scores of a checkpoint."""
        self.append({"step": step} | {VALIDATION + name: value for name, value in scores.items()})


def _row(line: str) -> dict[str, float] | None:
    try:
        row = records.parse(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or "step" not in row:
        return None
    has_values = "loss" in row or any(name.startswith(VALIDATION) for name in row)
    is_complete = all(isinstance(value, int | float) for value in row.values())
    return row if has_values and is_complete else None
