"""Leaderboards that predictions can be submitted to, by their names in --benchmark."""

from collections.abc import Callable

from mtf_synthesizer import errors
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.submissions.embedded import embedded
from mtf_synthesizer.submissions.glue import GLUE
from mtf_synthesizer.submissions.layout import Benchmark
from mtf_synthesizer.submissions.super_glue import SUPER_GLUE


def find(name: str) -> Benchmark:
    """Return the leaderboard with a name.

    Raises:
      errors.UserError: the leaderboard is unknown.
    """
    name = _ALIASES.get(name, name)
    errors.check("benchmark", name, _KNOWN)
    return _KNOWN[name]()


def _embedded() -> Benchmark:
    """Return the embedded benchmark; counting its examples loads TensorFlow."""
    loading.load_tensorflow(False)
    from mtf_synthesizer.tasks import embedded as tasks_embedded

    counts = {task: len(examples("test")) for task, (examples, _) in tasks_embedded.TASKS.items()}
    return embedded(counts)


_KNOWN: dict[str, Callable[[], Benchmark]] = {
    "glue": lambda: GLUE,
    "superglue": lambda: SUPER_GLUE,
    "embedded": _embedded,
}
_ALIASES = {"super_glue": "superglue"}
NAMES = tuple(_KNOWN)
