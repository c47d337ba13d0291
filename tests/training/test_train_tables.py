"""The experiment on how tables train runs, and what it trains learns."""

import importlib
import pathlib
import re

import pytest

CHECKS = pathlib.Path(__file__).resolve().parent.parent / "checks"


@pytest.mark.slow
def test_quick_run_reports_falling_losses(capsys, monkeypatch):
    monkeypatch.syspath_prepend(CHECKS)
    module = importlib.import_module("train_tables")
    assert module.main(["--quick"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| r |")]
    assert len(rows) == 2
    moved = []
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        before, after = (float(number) for number in re.findall(r"\d+\.\d+", cells[6]))
        assert after < before - 1
        moved.append(float(cells[7]))
    # A table that starts small hardly moves: what the experiment is about.
    assert moved[0] < moved[1] / 5
