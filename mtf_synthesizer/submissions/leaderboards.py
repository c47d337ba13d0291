"""The leaderboards that predictions can be submitted to, by the names of --benchmark."""

from collections.abc import Callable

from mtf_synthesizer import errors
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.submissions.embedded import embedded
from mtf_synthesizer.submissions.glue import GLUE
from mtf_synthesizer.submissions.layout import Benchmark
from mtf_synthesizer.submissions.super_glue import SUPER_GLUE


def find(name: str) -> Benchmark:
    """The leaderboard of a name.

    Raises:
      errors.UserError: there is none.
    """
    name = _ALIASES.get(name, name)
    errors.check("benchmark", name, _KNOWN)
    return _KNOWN[name]()


def _embedded() -> Benchmark:
    """Counts its examples, for which TensorFlow is loaded."""
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
