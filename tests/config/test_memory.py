"""The estimate of memory against measured runs, and the commands of the documentation."""

import pytest
from printed_commands import Printed, configurations, of_help, of_pages

from mtf_synthesizer.config import memory
from mtf_synthesizer.config.request import Request, requested
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.runtime import machine_memory

T5S_WORDS = 32128
VERSES = 4096
LAPTOP = 8e9  # bytes
# Commands of the paper's size, which the pages say are meant for accelerators.
LARGE = ("table2_wmt14_ende", "lra_listops", "lra_text")


def bound(**asked):
    made = requested(Request(task="t", **asked))
    return BoundValues(made.files, made.params)


def needs(config, words):
    lengths, kind = config.value("run", "sequence_length"), config.value("run", "model_type")
    return memory.needs(config, lengths, kind or "bitransformer", words)


# Synthesizer, size, run or experiment, rows, words -> peak resident memory of the process in GB,
# of two to twelve steps on two cores.
OF_LISTOPS = {"experiment": "lra_listops"}  # encoder only, rows of 2,000 symbols
MEASURED = [
    ("rv", "tiny", {"run": "finetune"}, 128, T5S_WORDS, 17.9),
    ("rv", "tiny", {"run": "demo_finetune"}, 32, T5S_WORDS, 2.32),
    ("rv", "tiny", {"run": "demo_pretrain"}, 64, VERSES, 1.59),
    ("t5", "mini", {"run": "pretrain"}, 16, VERSES, 2.08),
    ("r", "mini_encoder", OF_LISTOPS, 4, 17, 2.87),  # tables of 2,000 x 2,000, with Adam
    ("v", "mini_encoder", OF_LISTOPS, 4, 17, 2.36),
]


@pytest.mark.parametrize(("synthesizer", "size", "kind", "rows", "words", "peak"), MEASURED)
def test_against_measured_runs(synthesizer, size, kind, rows, words, peak):
    estimate = needs(bound(synthesizer=synthesizer, size=size, **kind), words).of_batch(rows)
    assert peak / 1.5 < estimate / 1e9 < 1.5 * peak


def test_parameters_are_those_of_the_paper():
    """T5 base has 222,903,552 parameters, R+V 292,108,800 (docs/cost.md)."""
    of_table = {"gin_files": ["table4_layers.gin"]}
    for name, more, published in (("t5", {}, 222_903_552), ("r_plus_v", of_table, 292_108_800)):
        # Packed rows share no weights of attention: all that is fixed is parameters.
        config = bound(synthesizer=name, size="base", run="finetune", **more)
        found = (needs(config, T5S_WORDS).fixed - memory._PROGRAM) / 12
        assert found == pytest.approx(published, rel=0.03)


def test_rows_share_the_weights_of_tables_unless_they_are_packed():
    alone, packed = (
        needs(bound(synthesizer="r", size="tiny", run=run), VERSES)
        for run in ("pretrain", "finetune")
    )
    tokens = needs(bound(synthesizer="v", size="tiny", run="pretrain"), VERSES)
    assert alone.per_sequence < tokens.per_sequence <= packed.per_sequence


def test_a_batch_that_fits_is_proposed():
    of_rows = memory.MemoryNeeds(fixed=1e9, per_sequence=1e8)
    assert of_rows.of_batch(100) == 11e9
    assert of_rows.largest_batch(100, 8e9) == 50
    assert of_rows.largest_batch(100, 1.2e9) == 1
    assert of_rows.largest_batch(100, 1e9) is None


def test_sizes_that_no_literal_gives_have_no_estimate():
    config = BoundValues(["sizes/tiny.gin", "runs/finetune.gin"], ["d_model = @chosen()"])
    assert needs(config, 7) is None


COMMANDS = [p for p in [*of_pages(), *of_help()] if p.words[0] in ("train", "compare")]


@pytest.mark.parametrize("printed", COMMANDS, ids=lambda printed: printed.text[16:90])
def test_commands_of_the_documentation_fit_a_laptop(printed: Printed):
    args = printed.args
    if args.experiment in LARGE:
        pytest.skip(f"{args.experiment} is meant for accelerators")
    for asked in configurations(printed):
        config = BoundValues(asked.files, asked.params)
        rows = getattr(args, "batch_size", None) or config.value("run", "batch_size")
        assert needs(config, T5S_WORDS).of_batch(rows) < LAPTOP


def test_the_memory_of_this_machine(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  7812500 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(machine_memory, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(machine_memory, "_LIMITS", [tmp_path / "memory.max", tmp_path / "none"])
    assert 8e9 < machine_memory.usable() < 16e9  # with that of this process
    (tmp_path / "memory.max").write_text("4000000000\n")
    assert machine_memory.usable() == 4e9
    (tmp_path / "meminfo").unlink()
    assert machine_memory.usable() is None
