"""The losses of a run, kept in its folder."""

import json
import os

from mtf_synthesizer.files import paths, records, saving

LOSS_FILE = "loss.jsonl"


class LossLog:
    """Mean losses of a run, kept in a file so that a resumed run has the whole curve.

    Each line of the file is a JSON object with step, loss (mean since the line before), seconds
    (of training since the line before) and steps_per_second.

    Attributes:
      path: of the file.
      step: the last one that was trained, written or not.
    """

    def __init__(self, model_dir: str | os.PathLike[str]):
        self.path = paths.of(model_dir) / LOSS_FILE
        self.step = 0

    def read(self) -> list[dict[str, float]]:
        """Every line, in the order of steps; half-written and damaged ones are left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().decode("utf-8", errors="replace").splitlines()
        return [row for line in lines if (row := _row(line)) is not None]

    def rewind(self, step: int) -> None:
        """Forgets what lies after a step: the run goes on from the checkpoint of that step."""
        self.step = step
        kept = [row for row in self.read() if row["step"] <= step]
        saving.write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def append(self, row: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _row(line: str) -> dict[str, float] | None:
    try:
        row = records.parse(line)
    except ValueError:
        return None
    whole = isinstance(row, dict) and {"step", "loss"} <= row.keys()
    return row if whole and all(isinstance(value, int | float) for value in row.values()) else None
