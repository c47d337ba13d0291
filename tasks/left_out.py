"""Metrics that can't be computed, or say less than they seem to."""

import warnings


class MetricLeftOut(UserWarning):
    """A metric can't be computed, or only of a part; the message is a sentence that says why.

    A warning and not an error, so that an evaluation, T5's own too, has the other metrics.
    """


def leave_out(reason: str) -> dict[str, float]:
    """Return what a metric returns that can't be computed: no value, and a `MetricLeftOut`."""
    remark(reason)
    return {}


def remark(reason: str) -> None:
    """Add a sentence to the notes of an evaluation."""
    warnings.warn(reason, MetricLeftOut, stacklevel=3)
