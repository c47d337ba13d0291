"""The leaderboards that predictions can be submitted to, by the names of --benchmark."""

from collections.abc import Callable

from mtf_synthesizer import names, quiet
from mtf_synthesizer.submissions import embedded_submission
from mtf_synthesizer.submissions.glue_submission import GLUE
from mtf_synthesizer.submissions.submission_layout import Benchmark
from mtf_synthesizer.submissions.super_glue_submission import SUPER_GLUE


def find(name: str) -> Benchmark:
    """The leaderboard of a name.

    Raises:
      names.UserError: there is none.
    """
    name = _ALIASES.get(name, name)
    names.check("benchmark", name, _KNOWN)
    return _KNOWN[name]()


def _embedded() -> Benchmark:
    """Counts its examples, for which TensorFlow is loaded."""
    quiet.load_tensorflow(False)
    from mtf_synthesizer.tasks import embedded

    counts = {task: len(examples("test")) for task, (examples, _) in embedded.TASKS.items()}
    return embedded_submission.embedded(counts)


_KNOWN: dict[str, Callable[[], Benchmark]] = {
    "glue": lambda: GLUE,
    "superglue": lambda: SUPER_GLUE,
    "embedded": _embedded,
}
_ALIASES = {"super_glue": "superglue"}
NAMES = tuple(_KNOWN)
