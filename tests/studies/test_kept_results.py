"""docs/results/report.md is what `report` writes of the results that the repository keeps."""

import pathlib
import shlex
import shutil

from mtf_synthesizer.cli import main

KEPT = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "results"
COMMAND = "report docs/results --claims --output docs/results/report.md"


def test_the_report_is_up_to_date(tmp_path, monkeypatch):
    written = shutil.copytree(KEPT, tmp_path / "docs" / "results") / "report.md"
    written.unlink()
    monkeypatch.chdir(tmp_path)
    assert main.main(shlex.split(COMMAND)) == 0
    kept = (KEPT / "report.md").read_text("utf-8")
    assert written.read_text("utf-8") == kept, f"run: mtf_synthesizer {COMMAND}"
