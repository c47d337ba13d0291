"""Submission of the embedded benchmark, in GLUE's layout."""

from collections.abc import Mapping

from mtf_synthesizer.submissions.answers import Answers, Labels, TextAnswers
from mtf_synthesizer.submissions.layout import Benchmark, File, Identities, tsv

_FILES: Mapping[str, tuple[str, Answers]] = {
    "synthesizer_testament_v001": ("testament.tsv", Labels({"old": "old", "new": "new"})),
    "synthesizer_same_verse_v001": ("same_verse.tsv", Labels({"same": "same", "other": "other"})),
    "synthesizer_modern_english_v001": ("modern_english.tsv", TextAnswers()),
}


def embedded(counts: Mapping[str, int]) -> Benchmark:
    """Return the benchmark, given task -> number of its test examples."""
    files = (
        File(name, {task: answers}, Identities(counts[task]), tsv)
        for task, (name, answers) in _FILES.items()
    )
    return Benchmark("embedded", tuple(files))
