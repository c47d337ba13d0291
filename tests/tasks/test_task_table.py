"""docs/tasks.md says what the tasks are."""

import importlib
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def test_the_table_of_tasks_is_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "checks")
    made = importlib.import_module("task_table").document() + "\n"
    assert (ROOT / "docs" / "tasks.md").read_text("utf-8") == made, (
        "run: python tests/checks/task_table.py > docs/tasks.md"
    )


def test_the_table_names_every_task_of_ours(monkeypatch):
    import seqio

    monkeypatch.syspath_prepend(ROOT / "checks")
    made = importlib.import_module("task_table").document()
    names = {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}
    of_tests = ("_test_", "_random_", "_first_house_")
    named = {name for name in names if name.startswith("synthesizer_")}
    ours = {name for name in named if not any(part in name for part in of_tests)}
    assert {name for name in ours if f"`{name}`" not in made} == EMBEDDED


# Tasks of the demo, which need no official files.
EMBEDDED = {
    "synthesizer_modern_english_v001",
    "synthesizer_same_verse_v001",
    "synthesizer_testament_rank_v001",
    "synthesizer_testament_v001",
    "synthesizer_verse_spans_v001",
    "synthesizer_verses_v001",
}
