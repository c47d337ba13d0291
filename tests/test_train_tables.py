"""The experiment on how tables train runs, and what it trains learns."""

import importlib.util
import pathlib
import re
import sys

PATH = pathlib.Path(__file__).resolve().parent.parent / "checks" / "train_tables.py"


def test_quick_run_reports_falling_losses(capsys, monkeypatch):
    specification = importlib.util.spec_from_file_location("train_tables", PATH)
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "train_tables", module)  # dataclasses look themselves up
    specification.loader.exec_module(module)
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
