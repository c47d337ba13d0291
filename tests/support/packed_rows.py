"""A layer on two sequences packed into one row, and on the same sequences as rows of their own."""

from __future__ import annotations

import numpy as np
from harness import D_MODEL, Layer, call_layer, constant, unpacked_ids

LENGTH = 11
SEQUENCES = ((0, 4), (4, 5))  # first position and size; the last two positions are padding
IDS = np.repeat([1, 2, 0], (4, 5, 2))[None]
_X = np.random.RandomState(0).normal(size=(1, LENGTH, D_MODEL))
_COTANGENT = np.random.RandomState(1).normal(size=_X.shape)


def packed(layer: Layer, causal: bool) -> dict[str, np.ndarray]:
    """Values and gradients of one row of two sequences."""
    real = (IDS > 0)[:, :, None]
    return call_layer(
        layer,
        _X * real,
        autoregressive=causal,
        sequence_id=lambda mesh: constant(mesh, IDS, ["batch", "length"]),
        cotangent=_COTANGENT * real,
    )


def alone(layer: Layer, causal: bool) -> dict[str, np.ndarray]:
    """The two sequences as rows of their own, with garbage as padding on the right."""
    rows = np.full((2, LENGTH, D_MODEL), 7.0)
    cotangent, tokens = np.zeros_like(rows), np.zeros((2, LENGTH), np.int32)
    for row, (start, size) in enumerate(SEQUENCES):
        rows[row, :size] = _X[0, start : start + size]
        cotangent[row, :size] = _COTANGENT[0, start : start + size]
        tokens[row, :size] = 1
    return call_layer(
        layer,
        rows,
        autoregressive=causal,
        sequence_id=lambda mesh: unpacked_ids(mesh, tokens),
        cotangent=cotangent,
    )


def assert_same(together: dict[str, np.ndarray], apart: dict[str, np.ndarray]) -> None:
    """Outputs and gradients of what `packed` and `alone` return."""
    for key in ("y", "grad/x"):
        for row, (start, size) in enumerate(SEQUENCES):
            np.testing.assert_allclose(
                together[key][0, start : start + size], apart[key][row, :size], rtol=1e-4, atol=2e-5
            )
    for key in together:
        if key.startswith("grad/") and key != "grad/x":
            np.testing.assert_allclose(together[key], apart[key], rtol=1e-4, atol=5e-5, err_msg=key)
