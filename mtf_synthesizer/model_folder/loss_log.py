"""Losses of a run, stored in its folder."""

import json

from mtf_synthesizer.files import paths, records, saving

LOSS_FILE = "loss.jsonl"


class LossLog:
    """Mean losses of a run, stored in a file so that a resumed run has the whole curve.

    Each line is a JSON object with step, loss (mean since the previous line), seconds (of training
    since the previous line) and steps_per_second.

    Attributes:
      path: path of the file.
      step: the last trained step, logged or not.
    """

    def __init__(self, folder: paths.Path):
        self.path = folder / LOSS_FILE
        self.step = 0

    def read(self) -> list[dict[str, float]]:
        """Return every complete line in the order of steps; skip damaged lines."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().decode("utf-8", errors="replace").splitlines()
        return [row for line in lines if (row := _row(line)) is not None]

    def rewind(self, step: int) -> None:
        """Drop the lines after `step`, whose checkpoint the run resumes from."""
        self.step = step
        kept = [row for row in self.read() if row["step"] <= step]
        saving.write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))

    def append(self, row: dict[str, float]) -> None:
        """Append a line.

        Args:
          row: step, loss, seconds and steps_per_second.
        """
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _row(line: str) -> dict[str, float] | None:
    try:
        row = records.parse(line)
    except ValueError:
        return None
    complete = isinstance(row, dict) and {"step", "loss"} <= row.keys()
    return (
        row if complete and all(isinstance(value, int | float) for value in row.values()) else None
    )
