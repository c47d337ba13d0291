"""The warning before a run that needs more memory than the machine has."""

from mtf_synthesizer.config.memory import MemoryNeeds
from mtf_synthesizer.training import memory


def test_the_warning_names_the_flag_to_change():
    needs = MemoryNeeds(fixed=1e9, per_sequence=1e8)
    said = memory.advice(needs, 100, 8e9)
    assert said.startswith(
        "a step of 100 rows needs about 11.0 GB of memory, and this machine has 8.0"
    )
    assert said.endswith("--batch_size 50 needs about 6.0 GB")
    assert "A smaller --size" in memory.advice(needs, 100, 1e9)
