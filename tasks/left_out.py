"""Metrics that can't be computed, or only in part."""

import warnings


class MetricLeftOut(UserWarning):
    """A metric that can't be computed, or only in part; the message gives the reason.

    A warning, not an error, so that any evaluation, T5's own too, computes the other metrics.
    """


def leave_out(reason: str) -> dict[str, float]:
    """Return no values and warn with a `MetricLeftOut`, for a metric that can't be computed."""
    remark(reason)
    return {}


def remark(reason: str) -> None:
    """Add a sentence to the notes of an evaluation."""
    warnings.warn(reason, MetricLeftOut, stacklevel=3)
